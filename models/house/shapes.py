"""What a round of housekeeping found and did. It is stored whole; every picture of it is drawn from this."""

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class DiskSpace(Part):
    """Of a disk of the machine that took stock; bytes."""

    folder: str = Field(examples=["/var/lib/appointment360"])
    holds: str = Field(examples=["stored files and the database"])
    total: int
    free: int
    is_low: bool = Field(description="Below APPOINTMENT360_DISK_WARNING.")


class FolderSize(Part):
    """A folder of the home, or a place in the store that all hosts share, with all that is below it."""

    name: str = Field(examples=["imports"])
    bytes: int
    files: int


class TableSize(Part):
    """With its indexes and what lies beside it. `dead` is the server's estimate, and so is `rows` where the table is
    too large to be counted."""

    name: str = Field(examples=["contacts"])
    bytes: int
    rows: int
    dead: int
    counted: bool = Field(default=False, description="Whether `rows` was counted.")


class Kept(Part):
    """`days` null is for ever; `removed` is what this round removed, null where something else does that."""

    what: str = Field(examples=["Audit log"])
    setting: str = Field(examples=["APPOINTMENT360_DAYS_KEPT_AUDIT"])
    days: int | None
    gives_up: str = Field(description="What goes with it.")
    bytes: int | None = Field(description="What it holds; null where that is not measured.")
    removed: int | None


class HouseAdvice(Part):
    """Care that a table wants: `sentence` gives the reason with its figures, `outcome` what came of carrying it out."""

    kind: str = Field(examples=["vacuum"])
    subject: str = Field(examples=["contacts"])
    sentence: str
    sql: str | None = Field(examples=["VACUUM public.contacts"])
    outcome: str | None = None


class HouseReport(Part):
    disks: list[DiskSpace]
    database_bytes: int
    folders: list[FolderSize]
    tables: list[TableSize]
    kept: list[Kept]
    advice: list[HouseAdvice]
    notes: list[str] = Field(description="What could not be done or read.")
