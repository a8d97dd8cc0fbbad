"""What imports look like in JSON."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from dashboard.api.contact_shapes import plain
from dashboard.api.strict import Text
from models import import_drafts, import_phases, import_progress, imports, mapping_memory
from models.contacts.history import FieldChange
from models.import_phases import Phase
from models.import_progress import Unit
from models.imports import Import, Keep, Listed, MatchRule, State
from models.permissions import Actor

LONGEST_HEADER = 10_000  # characters
MOST_COLUMNS = 20_000

# Within the schema where it stands: other things have a State, too, and one name there means one of them.
ImportState = Annotated[str, WithJsonSchema({"type": "string", "enum": [one.value for one in State]})]


class Progress(BaseModel):
    """How far the process is that works on it, in its present step."""

    step: str = Field(examples=["Typing the rows"])
    unit: Unit
    done: int | None
    total: int | None = Field(description="Null where nobody knows.")
    percent: float | None = Field(ge=0, le=100, examples=[41.5])
    seconds_left: float | None


class ImportShort(BaseModel):
    """`state` is what was done last, `phase` what can be done now. rows = created + updated + unchanged + duplicates +
    rejected, as soon as there is a plan."""

    id: int = Field(examples=[12])
    file_name: str = Field(examples=["leads.csv"])
    state: ImportState
    phase: Phase
    wanted: ImportState | None = Field(description="The state that somebody asked for, until it is there.")
    rows: int
    created: int
    updated: int
    unchanged: int
    duplicates: int
    rejected: int
    error: str | None = Field(description="Why the last thing that was asked of it did not happen.")
    by: str | None = Field(description="Null for the command line.", examples=["Ann Archer"])
    created_at: datetime
    finished_at: datetime | None
    seconds: float = Field(description="Of work, so far.")


class ImportPage(BaseModel):
    """Newest first."""

    imports: list[ImportShort]
    total: int


class FileFacts(BaseModel):
    """What the file turned out to be, once it was opened."""

    format: str | None = Field(None, examples=["csv"])
    encoding: str | None = Field(None, examples=["utf-8"])
    delimiter: str | None = Field(None, examples=[","])
    header_line: int | None = None
    headers: list[str] = []
    notes: list[str] = []


class ImportWhole(ImportShort):
    """With `progress` while a process works on it."""

    progress: Progress | None
    bytes: int | None
    sha256: str | None = Field(description="Null also where the values of the file are hidden from you.")
    file: FileFacts | None = Field(description="Null before it was opened.")
    plan: str | None = Field(description="Which plan it has: the commit names it.", examples=["2026-11-01T09:30:00Z"])
    moved: int = Field(description="Rows of a plan that held no longer when it was to be committed.")
    undone: dict[str, int] | None = Field(description="What the undo came to: removed, restored, kept.")
    mapped: str | None = Field(description="By what it was mapped, in words.")
    mapping_id: int | None
    watched_id: int | None = Field(description="The watched folder that its file came from.")


class Chosen(BaseModel):
    """What is read from where, and whose value stays. Headers that are in neither list go to `extra`."""

    model_config = ConfigDict(extra="forbid")

    columns: dict[Text, Text] = Field(
        description="Header -> field.", max_length=MOST_COLUMNS, examples=[{"E-mail": "email", "Name": "full_name"}]
    )
    left_out: list[Text] = Field([], description="Headers that go nowhere.", max_length=MOST_COLUMNS)
    match: MatchRule = Field(MatchRule.AUTO, description="When a row is a contact that is here.")
    keep: Keep = Field(Keep.THEIRS, description="Whose value stays: theirs is the file's.")
    keep_fields: dict[Text, Keep] = Field({}, description="Field -> another rule than `keep`.", max_length=MOST_COLUMNS)
    dated_by: Text = Field(
        "", description="The header that says how new a row is; empty is the file's own moment.",
        max_length=LONGEST_HEADER,
    )  # fmt: skip

    def of_models(self) -> import_drafts.Chosen:
        return import_drafts.Chosen(
            self.columns, self.match, self.keep, tuple(self.left_out), dict(self.keep_fields), self.dated_by
        )

    @classmethod
    def shown(cls, chosen: import_drafts.Chosen) -> "Chosen":
        return cls(
            columns=chosen.columns, left_out=list(chosen.left_out), match=chosen.match, keep=chosen.keep,
            keep_fields=chosen.keep_fields, dated_by=chosen.dated_by,
        )  # fmt: skip


class ChangedValue(BaseModel):
    """Null is nothing."""

    field: str
    before: Any = None
    after: Any = None


def short(listed: Listed) -> dict[str, Any]:
    found = listed.import_
    names = ("id", "file_name", "state", "wanted", "rows", "created", "updated", "unchanged", "duplicates", "rejected")
    return {name: getattr(found, name) for name in names} | {
        "phase": import_phases.phase(listed),
        "error": found.error,
        "by": listed.by_name,
        "created_at": utc(found.created_at),
        "finished_at": found.finished_at and utc(found.finished_at),
        "seconds": round(found.seconds, 2),
    }


def whole(listed: Listed, by: Actor) -> ImportWhole:
    found = listed.import_
    hidden = imports.why_hidden(found, by=by)
    return ImportWhole(
        **short(listed),
        progress=_progress(found) if listed.is_running else None,
        bytes=found.bytes or found.upload_bytes,
        sha256=None if hidden else found.sha256,  # from which one could find out values by trying
        file=_file(found.opened) if found.opened else None,
        plan=(found.planned or {}).get("at"),
        moved=found.moved,
        undone=found.undone,
        mapped=mapping_memory.sentence(found.recalled) if found.recalled else None,
        mapping_id=found.mapping_id,
        watched_id=found.watched_id,
    )


def changed(values: tuple[FieldChange, ...]) -> list[ChangedValue]:
    return [ChangedValue(field=one.name, before=plain(one.old), after=plain(one.new)) for one in values]


def utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _file(opened: dict[str, Any]) -> FileFacts:
    names = ("format", "encoding", "delimiter", "header_line", "headers", "notes")
    return FileFacts(**{name: opened[name] for name in names if opened.get(name) is not None})


def _progress(found: Import) -> Progress | None:
    now = import_progress.of(found)
    if now is None:
        return None
    return Progress(
        step=now.step, unit=now.step.unit, done=now.done, total=now.total,
        percent=None if now.share is None else round(100 * now.share, 1),
        seconds_left=None if now.left is None else round(now.left, 1),
    )  # fmt: skip
