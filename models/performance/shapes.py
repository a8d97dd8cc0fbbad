"""What a report holds. It is stored whole, and every picture of it (screen, page, text, JSON) is drawn from this."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class PerformanceFinding(Part):
    """Something to look at: `sentence` says what was found, `suggestion` what to do, `tried` what came of trying that
    on a scratch copy; a suggestion with SQL that was not tried is none."""

    kind: str = Field(examples=["missing index"])
    subject: str = Field(examples=["contacts.title"])
    sentence: str
    suggestion: str | None = None
    tried: str | None = None
    sql: str | None = Field(default=None, examples=["CREATE INDEX CONCURRENTLY ON contacts (title)"])


class Cause(Part):
    """Who sent a statement, or took time: `view` is its name, where others may know it."""

    kind: str = Field(examples=["screen"])
    operation: str = Field(examples=["contacts"])
    person: str | None
    view: str | None
    times: int
    seconds: float


class Statement(Part):
    """Of the last week, or since the server counts; `before_ms` is the mean of the week before."""

    text: str = Field(description="Without values: each is a $1.")
    calls: int
    seconds: float
    mean_ms: float
    share: float = Field(description="Of the time of all statements, from 0 to 1.")
    before_ms: float | None
    causes: list[Cause]


class Operation(Part):
    """`p50_ms` and `p99_ms` are upper bounds of classes, each 1.4 times the one before."""

    kind: str
    operation: str
    times: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float
    slowest_ms: float
    statements: float = Field(description="Sent by one on average.")
    rows: float = Field(description="That one read or wrote on average.")


class Slow(Part):
    at: datetime
    kind: str
    operation: str
    person: str | None
    view: str | None
    seconds: float
    statement_seconds: float
    statements: int
    rows: int


class Table(Part):
    """`grown` is by how many bytes, indexes included, in `grown_days`; `bloat` are bytes that hold nothing."""

    name: str
    rows: int
    bytes: int
    index_bytes: int
    grown: int | None
    grown_days: float | None
    dead: int
    bloat: int | None


class Index(Part):
    name: str
    table: str
    bytes: int
    scans: int


class Transaction(Part):
    """Open for so long; what it says is left out, since that may hold values."""

    pid: int
    program: str
    state: str
    seconds: float


class Server(Part):
    version: str
    database_bytes: int
    cache_hit: float | None = Field(description="Blocks that were in memory, from 0 to 1.")
    connections: int
    most_connections: int
    idle_in_transaction: int
    counted_since: datetime | None
    deadlocks: int
    temporary_bytes: int


class Speed(Part):
    """Of imports or exports in the last week, and the one before."""

    what: str
    runs: int
    rows: int
    seconds: float
    rows_per_second: float | None
    before: float | None


class Flow(Part):
    flow: str
    runs: int
    failed: int
    mean: float
    slowest: float
    before: float | None


class Hour(Part):
    hour: datetime
    requests: int
    p50_ms: float
    p99_ms: float


class Report(Part):
    days: float = Field(description="That its sums are of, but for statements.")
    statements_since: datetime | None = Field(
        default=None, description="From when on statements are counted; null where nobody counts them."
    )
    findings: list[PerformanceFinding]
    statements: list[Statement]
    by_mean: list[Statement]
    causes: list[Cause]
    operations: list[Operation]
    slow: list[Slow]
    hours: list[Hour]
    tables: list[Table]
    indexes: list[Index]
    bloat_source: str
    server: Server
    transactions: list[Transaction]
    speeds: list[Speed]
    flows: list[Flow]
    notes: list[str] = Field(description="What could not be read, and why.")

    @classmethod
    def stored(cls, body: dict[str, Any]) -> "Report":
        return cls.model_validate(body)
