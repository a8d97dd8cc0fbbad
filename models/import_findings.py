"""What stands out about an import beside the accepted ones before it, and which rules its rows break that they must
not: stored with its plan, and shown with the import for ever."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Float, Identity, Index, Text, delete, insert, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import imports
from models.database import Base, reading
from models.filters import visible_fields
from models.permissions import Actor


class Severity(StrEnum):
    LOW = "hint"  # is shown, and stops nothing
    MEDIUM = "stands out"
    HIGH = "far off"


class ImportFinding(Base):
    __tablename__ = "import_findings"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    import_id: Mapped[int]
    name: Mapped[str] = mapped_column(Text)
    field: Mapped[str | None] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(Text)
    strength: Mapped[float] = mapped_column(Float)
    sentence: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB)

    __table_args__ = (Index("import_findings_import", "import_id", "name", unique=True),)


@dataclass(frozen=True)
class Finding:
    """One thing that stands out. `name` never changes its meaning and comes once for an import; `strength` is how many
    times its threshold it is; the sentence holds no value of the file.

    details, each where it fits: others (more fields that it is about), now and before (shares, or numbers), examples
    ([[value, rows], ...]), bins ([[label, share before, share now], ...]), rows (see import_finding_rows).
    """

    name: str
    field: str | None
    severity: Severity
    strength: float
    sentence: str
    details: dict[str, Any] = attribute(default_factory=dict)

    @property
    def stops(self) -> bool:
        """Whether nothing is committed until somebody accepts it."""
        return self.severity is not Severity.LOW

    @property
    def fields(self) -> tuple[str, ...]:
        return (*([self.field] if self.field else []), *self.details.get("others", ()))


def replace_all(session: Session, findings: Sequence[Finding], *, import_id: int) -> None:
    """Store them in place of those of an earlier plan, in the caller's transaction."""
    session.execute(delete(ImportFinding).where(ImportFinding.import_id == import_id))
    columns = ("name", "field", "severity", "strength", "sentence", "details")
    rows = [{"import_id": import_id} | {column: getattr(one, column) for column in columns} for one in findings]
    if rows:
        session.execute(insert(ImportFinding), rows)


def of_import(session: Session, import_id: int) -> list[Finding]:
    """Those that stop it first, then the strongest."""
    rows = session.scalars(select(ImportFinding).where(ImportFinding.import_id == import_id).order_by(ImportFinding.id))
    found = [
        Finding(row.name, row.field, Severity(row.severity), row.strength, row.sentence, row.details) for row in rows
    ]
    return in_order(found)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda one: (not one.stops, -one.strength, one.name))


def listed(import_id: int, *, by: Actor) -> list[Finding]:
    """What stands out, of fields that `by` may see; where the values of the file are hidden, without examples, and
    without which rows it is about, which names some, too.

    Raises NotAllowed, NotFound.
    """
    found = imports.get(import_id, by=by)
    with reading() as session:
        findings = seen_by(by, of_import(session, import_id))
    if not imports.why_hidden(found, by=by):
        return findings
    return [replace(one, details={**one.details, "examples": [], "rows": None}) for one in findings]


def seen_by(by: Actor, findings: Sequence[Finding]) -> list[Finding]:
    """Those about fields that `by` may see, and about the rows as a whole."""
    if by.columns is None:
        return list(findings)
    seen = visible_fields(by)
    return [one for one in findings if all(name in seen for name in one.fields)]


def digest(findings: Iterable[Finding]) -> str:
    """The same for findings that say the same: what somebody saw is what they accept."""
    told = sorted([one.name, round(one.strength, 3), values(one)] for one in findings if one.stops)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def values(finding: Finding) -> list[str]:
    """Digests of the values of the file that the finding is about: what is accepted of one is not of others."""
    named = finding.details.get("examples", ())
    return sorted(hashlib.sha256(str(value).encode()).hexdigest()[:16] for value, _ in named)
