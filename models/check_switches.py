"""Which rules of data quality stop an import: what people decided, against what the rule itself says."""

from datetime import datetime

from sqlalchemy import Boolean, DateTime, Text, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import accounts, audit
from models.audit import Event
from models.contacts import quality
from models.database import Base, writing
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
        raise NotFound(f"There is no rule “{name[:60]}” for contacts: `appointment360 checks list` names them all.")
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
