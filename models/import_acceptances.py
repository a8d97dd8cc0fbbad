"""Accepting what stands out about an import, with a reason: without it nothing of the import is committed, whatever
road leads there."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, DateTime, Identity, Index, Integer, Text, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import audit, import_findings, imports
from models.audit import Event
from models.database import Base, by_id, reading, writing
from models.errors import Conflict, InvalidInput, NotFound
from models.import_findings import Finding
from models.imports import Import, State
from models.permissions import Actor

SHORTEST, LONGEST = 5, 500  # characters of a reason
WORSE = 1.1  # times as strong as what was accepted
NAMED = 3  # findings that an error quotes


class ImportAcceptance(Base):
    """`findings` are [name, strength, digests of values] each: what a later plan is held to."""

    __tablename__ = "import_acceptances"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    import_id: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str] = mapped_column(Text)
    once: Mapped[bool] = mapped_column(Boolean, server_default="false")
    digest: Mapped[str] = mapped_column(Text)
    findings: Mapped[list[list[Any]]] = mapped_column(JSONB)
    accepted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    accepted_by: Mapped[int | None]
    accepted_name: Mapped[str] = mapped_column(Text)
    withdrawn_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        # One acceptance stands for an import at most.
        Index("import_acceptances_standing", "import_id", unique=True, postgresql_where=text("withdrawn_at IS NULL")),
    )


class NotAccepted(Conflict):
    """Something about the import stands out, and nobody has accepted it: nothing was written."""

    def __init__(self, import_id: int, findings: list[Finding], *, hint: str = "") -> None:
        self.import_id, self.findings = import_id, findings
        super().__init__(f"Nothing was written: {self._told(findings)}{hint}")

    @property
    def noted(self) -> str:
        return f"Nothing was written: {self._told([])}"

    def told_to(self, by: Actor) -> str:
        """What stands out, with those sentences that are of columns that `by` sees."""
        return self._told(import_findings.seen_by(by, self.findings))

    def hinting(self, hint: str) -> "NotAccepted":
        """The same error, with the way out as a command."""
        return NotAccepted(self.import_id, self.findings, hint=f" {hint}")

    def _told(self, quoted: list[Finding]) -> str:
        number = "one thing stands" if len(self.findings) == 1 else f"{len(self.findings)} things stand"
        told = "".join(f" {one.sentence}" for one in quoted[:NAMED])
        rest = len(self.findings) - len(quoted[:NAMED])
        more = f" And {rest} more." if quoted and rest else ""
        return (
            f"{number} out about import {self.import_id}.{told}{more} Look at what stands out, then accept it with a "
            "reason, or cancel the import."
        )


@dataclass(frozen=True)
class Acceptance:
    """Who accepted what stands out, when, and why. `once`, that the import is an exception with which later ones are
    not compared; `is_whole`, that nothing stands out beyond what was accepted."""

    reason: str
    once: bool
    at: datetime
    by_name: str
    is_whole: bool


def accept(import_id: int, reason: str, *, once: bool = False, seen: str | None = None, by: Actor) -> None:
    """Accept all that stands out about the plan, in place of an earlier acceptance.

    `seen` is the digest of the findings that the person looked at: others are not accepted. Raises NotAllowed,
    NotFound, InvalidInput (no reason), Conflict (nothing stands out, other things do, or it is not planned or over).
    """
    imports.require_importing(by)
    reason = _checked(reason)
    with writing(by) as session:
        _planned(session, import_id)
        findings = [one for one in import_findings.of_import(session, import_id) if one.stops]
        if not findings:
            raise Conflict(f"Nothing about import {import_id} needs to be accepted: it can be committed.")
        told = import_findings.digest(findings)
        if seen is not None and seen != told:
            raise Conflict(f"What stands out about import {import_id} is not what you looked at any more: look again.")
        _end_standing(session, import_id)
        session.add(
            ImportAcceptance(
                import_id=import_id, reason=reason, once=once, digest=told,
                findings=[[one.name, one.strength, import_findings.values(one)] for one in findings],
                accepted_by=by.doer_id, accepted_name=by.name,
            )
        )  # fmt: skip
        audit.write(
            session, Event.IMPORT_ACCEPTED, f"import {import_id}", by=by,
            reason=reason, once=once, findings=[one.name for one in findings],
        )  # fmt: skip


def withdraw(import_id: int, *, by: Actor) -> None:
    """Take the acceptance back, until the import is committed. Raises NotAllowed, NotFound, Conflict."""
    imports.require_importing(by)
    with writing(by) as session:
        _planned(session, import_id)
        if not _end_standing(session, import_id):
            raise Conflict(
                f"Nobody has accepted what stands out about import {import_id}: there is nothing to withdraw."
            )
        audit.write(session, Event.IMPORT_ACCEPTANCE_WITHDRAWN, f"import {import_id}", by=by)


def find(import_id: int, *, by: Actor) -> Acceptance | None:
    """The one that stands, or stood when the import was committed. Raises NotAllowed, NotFound."""
    imports.get(import_id, by=by)
    with reading() as session:
        stored = _standing(session, import_id)
        if stored is None:
            return None
        missing = missing_from(session, import_id)
    return Acceptance(stored.reason, stored.once, stored.accepted_at, stored.accepted_name, not missing)


def require_accepted(session: Session, import_id: int) -> None:
    """Raises NotAccepted where something that stands out was not accepted, or is worse by now than what was.

    Whoever commits an import calls it in the transaction that does so.
    """
    if missing := missing_from(session, import_id):
        raise NotAccepted(import_id, missing)


def missing_from(session: Session, import_id: int) -> list[Finding]:
    """What stops the import and is not accepted."""
    findings = [one for one in import_findings.of_import(session, import_id) if one.stops]
    stored = _standing(session, import_id) if findings else None
    accepted = {name: (strength, {*known}) for name, strength, known in stored.findings} if stored else {}

    def is_accepted(one: Finding) -> bool:
        strength, known = accepted.get(one.name, (0.0, set()))
        return one.strength <= strength * WORSE and {*import_findings.values(one)} <= known

    return [one for one in findings if not is_accepted(one)]


def _standing(session: Session, import_id: int) -> ImportAcceptance | None:
    wanted = select(ImportAcceptance).where(
        ImportAcceptance.import_id == import_id, ImportAcceptance.withdrawn_at.is_(None)
    )
    return session.scalar(wanted)


def _end_standing(session: Session, import_id: int) -> bool:
    ended = session.execute(
        update(ImportAcceptance)
        .where(ImportAcceptance.import_id == import_id, ImportAcceptance.withdrawn_at.is_(None))
        .values(withdrawn_at=func.now())
        .returning(ImportAcceptance.id)
    )
    return ended.first() is not None


def _planned(session: Session, import_id: int) -> None:
    """Locks the import, so that it is not committed meanwhile. Raises NotFound, Conflict."""
    found = by_id(session, Import, import_id, locked=True)
    if found is None:
        raise NotFound(f"There is no import {import_id}.")
    if found.state != State.PLANNED:
        raise Conflict(f"Import {import_id} is {found.state}: only what stands out about a plan is accepted.")


def _checked(reason: str) -> str:
    """Raises InvalidInput."""
    bare = " ".join(reason.split())
    if not SHORTEST <= len(bare) <= LONGEST:
        raise InvalidInput(
            f"Give a reason of {SHORTEST} to {LONGEST} characters: why the file is right although it stands out.",
            field="reason",
        )
    return bare
