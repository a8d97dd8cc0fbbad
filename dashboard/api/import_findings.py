"""What stands out about an import beside those before it, and accepting that with a reason."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from dashboard import file_answers
from dashboard.api import import_shapes as shapes
from dashboard.api import strict
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.csv_routes import CSV, named
from dashboard.api.paging import Id, PageNumber, PageSize
from dashboard.api.strict import Text
from models import import_acceptances, import_finding_rows, import_findings, import_profiles
from models.import_acceptances import LONGEST, SHORTEST
from models.import_findings import Severity
from models.permissions import Actor, Permission

router = APIRouter(prefix="/imports", tags=["imports"], route_class=Repeatable)

Importer = Annotated[Actor, Needs(Permission.IMPORTS_RUN)]
Name = Annotated[str, Path(max_length=200, description="`name` of the finding.", examples=["filled:email"])]


class Finding(BaseModel):
    """`stops`: nothing is committed until somebody accepts it. `strength` is how many times its threshold it is."""

    name: str
    fields: list[str]
    severity: Severity
    strength: float
    sentence: str
    stops: bool
    details: dict[str, Any] = Field(description="Numbers before and now, examples, and which rows it is about.")


class Compared(BaseModel):
    """The accepted imports that it was compared with, or `why` with none."""

    imports: list[int]
    same_columns: bool
    why: str | None


class Acceptance(BaseModel):
    """`whole`: nothing stands out beyond what was accepted. `once`: later imports are not compared with this one."""

    reason: str
    once: bool
    at: datetime
    by: str
    whole: bool


class Findings(BaseModel):
    """Those that stop it first, then the strongest."""

    findings: list[Finding]
    digest: str = Field(description="What you saw: send it when you accept.")
    accepted: Acceptance | None
    compared: Compared | None


class NewAcceptance(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Text = Field(
        min_length=SHORTEST, max_length=LONGEST, examples=["The fair in Lyon sends no e-mail addresses"],
    )  # fmt: skip
    once: strict.Yes = Field(False, description="Later imports are not compared with this one.")
    digest: Text = Field(description="Of the findings that you saw: others are not accepted.", max_length=100)


class FoundRow(BaseModel):
    line: int
    values: list[str | None]


class FoundRows(BaseModel):
    headers: list[str]
    rows: list[FoundRow]
    total: int


@router.get("/{import_id}/findings", summary="What stands out")
def listed(by: Importer, import_id: Id) -> Findings:
    """Of the fields that you see."""
    found = import_findings.listed(import_id, by=by)
    accepted = import_acceptances.find(import_id, by=by)
    compared = import_profiles.compared(import_id, by=by)
    return Findings(
        findings=[_shown(one) for one in found],
        digest=import_findings.digest(found),
        accepted=_accepted(accepted) if accepted else None,
        compared=_compared(compared) if compared else None,
    )


@router.post("/{import_id}/findings/accept", summary="Accept what stands out")
def accept(by: Importer, import_id: Id, wanted: NewAcceptance) -> Findings:
    """All of it, in place of an earlier acceptance. Answers 409 where it is not what you saw."""
    import_acceptances.accept(import_id, wanted.reason, once=wanted.once, seen=wanted.digest, by=by)
    return listed(by, import_id)


@router.post("/{import_id}/findings/withdraw", status_code=HTTPStatus.NO_CONTENT, summary="Take an acceptance back")
def withdraw(by: Importer, import_id: Id) -> None:
    """Until the import is committed."""
    import_acceptances.withdraw(import_id, by=by)


@router.get("/{import_id}/findings/{name}/rows", summary="The rows that one is about")
def rows(by: Importer, import_id: Id, name: Name, page: PageNumber = 1, size: PageSize = 50) -> FoundRows:
    """None where they are contacts by now, or it is about none."""
    found = import_finding_rows.page(import_id, name, number=page, size=size, by=by)
    listed = [FoundRow(line=line, values=list(values)) for line, values in found.rows]
    return FoundRows(headers=list(found.headers), rows=listed, total=found.total)


@router.get("/{import_id}/findings/{name}/rows.csv", response_class=CSV, summary="All of them as a file")
def rows_as_csv(by: Importer, import_id: Id, name: Name) -> Response:
    lines = import_finding_rows.as_csv(import_id, name, by=by)
    return file_answers.csv(lines, named(import_id, f"{name}.csv", by))


def _shown(one: import_findings.Finding) -> Finding:
    return Finding(
        name=one.name, fields=list(one.fields), severity=one.severity, strength=one.strength, sentence=one.sentence,
        stops=one.stops, details=one.details,
    )  # fmt: skip


def _compared(one: import_profiles.Compared) -> Compared:
    return Compared(imports=list(one.imports), same_columns=one.is_same, why=one.why)


def _accepted(one: import_acceptances.Acceptance) -> Acceptance:
    return Acceptance(
        reason=one.reason, once=one.once, at=shapes.utc(one.at), by=one.by_name, whole=one.is_whole
    )  # fmt: skip
