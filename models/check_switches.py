"""Which rules of data quality stop an import: what people decided, against what the rule itself says."""

import difflib
from datetime import datetime

from sqlalchemy import Boolean, DateTime, Text, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import accounts, audit
from models.audit import Event
from models.check_results import CheckResult, Sight
from models.check_rules import About
from models.contacts import quality
from models.database import Base, reading, writing
from models.errors import NotFound
from models.permissions import Actor, Permission, require


class CheckSwitch(Base):
    __tablename__ = "check_switches"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    blocks: Mapped[bool] = mapped_column(Boolean)
    changed_by: Mapped[int | None]
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())


def switched(session: Session) -> dict[str, bool]:
    """Rule -> whether it stops an import, of those that somebody decided of."""
    return {one.name: one.blocks for one in session.scalars(select(CheckSwitch))}


def switch(name: str, blocks: bool, *, by: Actor) -> None:
    """Have imports that break the rule wait until somebody accepts that, or have them no longer.

    Counts for every plan that is made from now on. Only rules for contacts: imports bring no other rows.
    Raises NotAllowed, NotFound.
    """
    require(by, Permission.SETTINGS_CHANGE)
    rule = quality.named().get(name)
    if rule is None:
        raise NotFound(_no_rule(name, by))
    with writing(by) as session:
        accounts.require_still(session, by, Permission.SETTINGS_CHANGE)
        before = switched(session).get(name, rule.blocks)
        if before == blocks:
            return
        now = {"blocks": blocks, "changed_by": by.doer_id, "changed_at": func.clock_timestamp()}
        made = insert(CheckSwitch).values(name=name, **now)
        session.execute(made.on_conflict_do_update(index_elements=["name"], set_=now))
        audit.write(
            session, Event.CHECK_SWITCHED, f"rule {name}", by=by, before={"stops imports": before},
            after={"stops imports": blocks},
        )  # fmt: skip


def _no_rule(name: str, by: Actor) -> str:
    """The sentence for a name that is of no rule for contacts: what it is of, or what may be meant."""
    asked = select(CheckResult.about).where(CheckResult.name == name, CheckResult.about != About.CONTACTS)
    with reading() as session:
        about = session.scalar(asked.where(Sight.of(by).condition()).limit(1))
    if about is not None:
        return f"“{name}” is a rule for {about}. Only rules for contacts stop imports, which bring nothing else."
    close = difflib.get_close_matches(name, quality.named(), n=1)
    meant = f"Did you mean {close[0]}?" if close else "`appointment360 checks list` names them all."
    return f"There is no rule “{name[:60]}” for contacts. {meant}"
