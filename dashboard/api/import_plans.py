"""What an import would do, or did: its numbers, and the rows behind each of them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from dashboard import file_answers
from dashboard.api import import_shapes as shapes
from dashboard.api import problems
from dashboard.api.access import Needs
from dashboard.api.again import Repeatable
from dashboard.api.contact_shapes import plain
from dashboard.api.csv_routes import CSV, named
from dashboard.api.import_shapes import ChangedValue
from dashboard.api.paging import Id, PageNumber, PageSize
from dashboard.api.strict import Text
from models import import_acceptances, import_changes, import_findings, import_rejects, imports
from models.contacts.plan_rows import PlannedRow
from models.errors import Conflict
from models.import_changes import Kind
from models.imports import ImportReject, Keep, MatchRule
from models.permissions import Actor, Permission

router = APIRouter(prefix="/imports", tags=["imports"], route_class=Repeatable)

Importer = Annotated[Actor, Needs(Permission.IMPORTS_RUN)]
OfKind = Annotated[
    Literal["updated", "created", "unchanged"], Query(description="The number that the rows are behind.")
]
Changing = Annotated[Text | None, Query(description="Only rows that change this field, or `extra`.", max_length=100)]
Refused = Annotated[Literal["rejected", "duplicate"], Query()]


class Change(BaseModel):
    """In how many contacts a field changes, with some values."""

    field: str
    contacts: int
    examples: list[ChangedValue]


class Plan(BaseModel):
    """`stops`: something stands out that nobody has accepted, so that it cannot be committed."""

    plan: str = Field(description="Send it with the commit.", examples=["2026-11-01T09:30:00.123456+00:00"])
    rows: int
    created: int
    updated: int
    unchanged: int
    duplicates: int
    rejected: int
    changes: list[Change] = Field(description="By field, the most changed first; of the fields that you see.")
    match: MatchRule
    keep: Keep
    keep_fields: dict[str, Keep]
    stops: bool


class Row(BaseModel):
    line: int | None = Field(description="Of the file; null where nobody knows it any more.")
    contact: int | None
    name: str | None
    values: list[ChangedValue]


class RowPage(BaseModel):
    rows: list[Row]
    total: int


class Reject(BaseModel):
    """`cells` are as they came, under the headers of the file."""

    line: int
    column: str | None
    value: str | None
    reason: str
    cells: list[str | None]
    contacts: list[int] | None = Field(description="Those that an ambiguous row could mean.")
    other_line: int | None = Field(description="Of the row that came in instead.")


class RejectPage(BaseModel):
    rows: list[Reject]
    total: int


class Reason(BaseModel):
    """`number` asks for its rows."""

    number: int
    sentence: str
    rows: int


class Told(BaseModel):
    """`field` is empty for what becomes of the row itself."""

    field: str
    planned: str
    now: str


class MovedRow(BaseModel):
    line: int
    name: str | None
    differences: list[Told]


class MovedPage(BaseModel):
    rows: list[MovedRow]
    total: int
    next: int | None = Field(description="For `after`; null on the last page.")


class Check(BaseModel):
    """A rule of quality; `success` where what breaks it is within its tolerance."""

    name: str
    field: str | None
    success: bool
    checked: int
    failing: int
    details: dict[str, Any] | None


class Note(BaseModel):
    """Values that went to extra, because they do not fit their field."""

    header: str
    reason: str
    count: int
    first_line: int
    example: str | None


@router.get("/{import_id}/plan", summary="Read the plan", responses=problems.told(409))
def plan(by: Importer, import_id: Id, examples: Annotated[int, Query(ge=0, le=20)] = 3) -> Plan:
    """Once it is committed, what was done, without examples."""
    found = imports.get(import_id, by=by)
    if not (found.planned or {}).get("at"):
        raise Conflict(f"Import {import_id} is {found.state}: it has no plan yet.")
    planned = found.planned or {}
    accepted = import_acceptances.find(import_id, by=by)
    stops = any(one.stops for one in import_findings.listed(import_id, by=by))
    changes = [_change(one) for one in imports.changed_values(import_id, examples=examples, by=by)]
    return Plan(
        plan=planned["at"], rows=found.rows, created=found.created,
        updated=found.updated, unchanged=found.unchanged, duplicates=found.duplicates, rejected=found.rejected,
        changes=changes, match=MatchRule(found.match), keep=Keep(found.keep),
        keep_fields={name: Keep(one) for name, one in found.keep_fields.items()},
        stops=stops and not (accepted and accepted.is_whole),
    )  # fmt: skip


@router.get("/{import_id}/rows", summary="The rows behind a number of the plan", responses=problems.told(409))
def rows(
    by: Importer,
    import_id: Id,
    kind: OfKind = "updated",
    changing: Changing = None,
    page: PageNumber = 1,
    size: PageSize = 50,
) -> RowPage:
    """For who sees every column. Once it is committed, what was written."""
    found, total = import_changes.page(import_id, kind=Kind(kind), changing=changing, number=page, size=size, by=by)
    return RowPage(rows=[_row(one) for one in found], total=total)


@router.get("/{import_id}/rows.csv", response_class=CSV, summary="All of them as a file", responses=problems.told(409))
def rows_as_csv(
    by: Importer, import_id: Id, kind: OfKind = "updated", changing: Changing = None
) -> Response:  # fmt: skip
    lines = import_changes.as_csv(import_id, kind=Kind(kind), changing=changing, by=by)
    return file_answers.csv(lines, named(import_id, "changes.csv", by))


@router.get("/{import_id}/moved", summary="Rows of a plan that held no longer")
def moved(
    by: Importer,
    import_id: Id,
    after: Annotated[int, Query(ge=0, le=2**62, description="A line of the file.")] = 0,
    size: PageSize = 50,
) -> MovedPage:
    """What the plan that was to be committed said, and what the one says that was made since."""
    found, total = import_changes.moved(import_id, after=after, size=size, by=by)
    listed = [MovedRow(line=one.line, name=one.name, differences=_told(one)) for one in found]
    return MovedPage(rows=listed, total=total, next=found[-1].line if len(found) == size else None)


@router.get("/{import_id}/moved.csv", response_class=CSV, summary="All of them as a file")
def moved_as_csv(by: Importer, import_id: Id) -> Response:
    return file_answers.csv(import_changes.moved_as_csv(import_id, by=by), named(import_id, "moved.csv", by))


@router.get("/{import_id}/rejects", summary="Rows that do not come in")
def rejects(
    by: Importer,
    import_id: Id,
    kind: Refused = "rejected",
    reason: Annotated[int | None, Query(ge=0, le=1000, description="The `number` of one of the reasons.")] = None,
    page: PageNumber = 1,
    size: PageSize = 50,
) -> RejectPage:
    """Without their values where those are hidden from you."""
    found, total = import_rejects.page(import_id, number=page, size=size, kind=kind, reason=reason, by=by)
    return RejectPage(rows=[_reject(one) for one in found], total=total)


@router.get("/{import_id}/rejects/reasons", summary="Why they do not come in")
def reasons(by: Importer, import_id: Id, kind: Refused = "rejected") -> list[Reason]:
    """The commonest reasons first; what differs from row to row is “…”."""
    found = import_rejects.reasons(import_id, kind=kind, by=by)
    return [Reason(number=number, sentence=one.sentence, rows=one.rows) for number, one in enumerate(found)]


@router.get("/{import_id}/rejects.csv", response_class=CSV, summary="All of them as a file to mend")
def rejects_as_csv(by: Importer, import_id: Id, kind: Refused = "rejected") -> Response:
    """A mended one is imported as it is: its first columns are left out by themselves."""
    name = "rejects.csv" if kind == "rejected" else "duplicates.csv"
    return file_answers.csv(import_rejects.as_csv(import_id, kind=kind, by=by), named(import_id, name, by))


@router.get("/{import_id}/checks", summary="What the rules of quality say")
def checks(by: Importer, import_id: Id) -> list[Check]:
    return [Check.model_validate(one, from_attributes=True) for one in imports.checks(import_id, by=by)]


@router.get("/{import_id}/notes", summary="Values that were kept in extra")
def notes(by: Importer, import_id: Id) -> list[Note]:
    return [Note.model_validate(one, from_attributes=True) for one in imports.notes(import_id, by=by)]


def _change(one: imports.Changed) -> Change:
    pairs = [ChangedValue(field=one.field, before=plain(now), after=plain(after)) for now, after in one.examples]
    return Change(field=one.field, contacts=one.contacts, examples=pairs)


def _row(one: PlannedRow) -> Row:
    return Row(line=one.line, contact=one.contact, name=one.name, values=shapes.changed(one.values))


def _reject(one: ImportReject) -> Reject:
    return Reject(
        line=one.line, column=one.header, value=one.value, reason=one.reason, cells=one.cells, contacts=one.contacts,
        other_line=one.other_line,
    )  # fmt: skip


def _told(one: import_changes.Moved) -> list[Told]:
    return [Told(field=name, planned=was, now=now) for name, was, now in import_changes.told(one)]
