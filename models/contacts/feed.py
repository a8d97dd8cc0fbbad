"""The change feed of contacts: what was written since a snapshot, whoever wrote it, in whatever order it committed.

Triggers note the ids that a transaction inserts, updates or deletes in `contact_feed`, with the transaction's number.
An entry can be seen when, and only when, the change can be. So between two snapshots changed exactly what is noted in
entries that the later one sees and the earlier one does not: those of transactions that had not ended when the earlier
was taken (PostgreSQL, "Snapshot Information Functions": pg_snapshot, pg_visible_in_snapshot). No clock and no number
that is handed out in order is asked, which a transaction that lasts would overtake.

Whoever follows reads what these contacts are now, and those that are not found are gone: the same entry may be read
twice, and a thousand changes of one contact are one. The snapshots are those of one server, and of its database alone:
see `Server`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Index, Integer, func, text
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import Base, writing
from models.permissions import OPERATOR

AT_ONCE = 20_000  # entries, the oldest, among which it looks each minute for those to remove
KEPT = timedelta(days=2)  # entries, after which who did not follow reads all contacts again
NAMED = 2000  # ranges of ids that are named in a query; more, of which a million are 20 MB, it finds once more


class FeedEntry(Base):
    """Some of the contacts that a transaction wrote; all of them where `ids` is None."""

    __tablename__ = "contact_feed"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    written_in: Mapped[int] = mapped_column(BigInteger, server_default=text("(pg_current_xact_id()::text::bigint)"))
    written_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    ids: Mapped[object | None] = mapped_column(INT8MULTIRANGE)

    __table_args__ = (Index("contact_feed_written", "written_in"),)


class FeedBegin(Base):
    """One row, once any entries were removed: those written before that transaction may be gone."""

    __tablename__ = "contact_feed_begin"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False, server_default="1")
    written_in: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (CheckConstraint("id = 1", name="contact_feed_begin_once"),)


@dataclass(frozen=True)
class Server:
    """Where numbers of transactions are comparable: the cluster, its timeline (another one since it was brought back to
    a moment), the database in it, and `tables`, by which those are told that a dump was restored into, or whose columns
    or values a statement changed that no trigger sees."""

    cluster: str
    timeline: int
    database: int
    tables: str


@dataclass(frozen=True)
class Place:
    """A snapshot, as text (`xmin:xmax:in progress`), and the place of the log behind everything that it sees."""

    snapshot: str
    log: str


@dataclass(frozen=True)
class Written:
    """The contacts that may have changed: a query, for the snapshot that shows it, which gives the ranges of their ids,
    each from `first` to before `after`; and how many contacts these are at most."""

    ranges: str
    number: int


# The control file has the timeline before only, until the first checkpoint after a promotion. A table that is restored
# has another oid, and one that is written anew another file.
_SERVER = text(
    """SELECT system.system_identifier::text AS cluster,
        ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int AS timeline,
        (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,
        concat_ws(' ', 'contact_feed'::regclass::oid, pg_relation_filenode('contacts'), columns.sum) AS tables
    FROM pg_control_system() AS system, (
        SELECT md5(string_agg(concat_ws(' ', attnum, attname, atttypid, atttypmod), ',' ORDER BY attnum)) AS sum
        FROM pg_attribute WHERE attrelid = 'contacts'::regclass AND attnum > 0
    ) AS columns"""
)
_PLACE = text("SELECT pg_current_snapshot()::text AS snapshot, pg_current_wal_insert_lsn()::text AS log")
# A server whose data somebody put back as they were yesterday numbers anew what this place has seen already.
_IS_BEHIND = text(
    """SELECT pg_current_wal_insert_lsn() < CAST(:log AS pg_lsn)
        OR pg_snapshot_xmax(pg_current_snapshot())::text::bigint
            < pg_snapshot_xmax(CAST(:snapshot AS pg_snapshot))::text::bigint"""
)
# What another server wrote, whose dump was restored here, has numbers of that server's, as a rule beyond all of this
# one's: it says nothing of what happened here.
_FOUND = """since AS (
        SELECT CAST({snapshot} AS pg_snapshot) AS snapshot,
            pg_snapshot_xmin(CAST({snapshot} AS pg_snapshot))::text::bigint AS first,
            pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS beyond
    ), found AS (
        SELECT ids FROM contact_feed, since
        WHERE written_in >= since.first AND written_in < since.beyond
            AND NOT pg_visible_in_snapshot(written_in::text::xid8, since.snapshot)
    )"""
_WRITTEN = text(
    f"""WITH {_FOUND.format(snapshot=":snapshot")}
    SELECT coalesce((
            SELECT begin.written_in > since.first AND begin.written_in <= since.beyond
            FROM contact_feed_begin AS begin, since
        ), false) AS is_lost,
        coalesce((SELECT bool_or(ids IS NULL) FROM found), false) AS is_all,
        CASE WHEN each.ranges <= {NAMED} THEN coalesce(whole.ids::text, '{{}}') END AS ids, each.number
    FROM (SELECT range_agg(ids) AS ids FROM found) AS whole, LATERAL (
        SELECT count(*) AS ranges, coalesce(sum(upper(one) - lower(one)), 0)::bigint AS number
        FROM unnest(whole.ids) AS one
    ) AS each"""
)
_EACH = "SELECT lower(one) AS first, upper(one) AS after FROM unnest({ids}) AS one"
_REMOVE = text(
    """WITH here AS (
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS ended_before,
            pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS beyond
    ), gone AS (
        DELETE FROM contact_feed USING here
        WHERE id IN (SELECT id FROM contact_feed ORDER BY id LIMIT :most)
            AND written_at < now() - CAST(:kept AS interval)
            AND (written_in < here.ended_before OR written_in >= here.beyond)
        RETURNING written_in
    )
    INSERT INTO contact_feed_begin AS begin (id, written_in)
    SELECT 1, max(written_in) + 1 FROM gone, here WHERE written_in < here.ended_before HAVING count(*) > 0
    ON CONFLICT (id) DO UPDATE SET written_in =
        CASE WHEN begin.written_in > (SELECT beyond FROM here) THEN excluded.written_in
            ELSE greatest(begin.written_in, excluded.written_in) END"""
)


def server(session: Session) -> Server:
    return Server(**session.execute(_SERVER).one()._mapping)


def place(session: Session) -> Place:
    """That of the session's snapshot, which lasts: the session is a `reading()` one."""
    return Place(**session.execute(_PLACE).one()._mapping)


def is_behind(session: Session, seen: Place) -> bool:
    """Whether the server has not come so far: it is not the one that it was."""
    return bool(session.scalar(_IS_BEHIND, {"snapshot": seen.snapshot, "log": seen.log}))


def written_since(session: Session, seen: Place) -> Written | None:
    """What the session's snapshot may show otherwise than that of `seen`; None where only all contacts can be read."""
    row = session.execute(_WRITTEN, {"snapshot": seen.snapshot}).one()
    if row.is_lost or row.is_all:
        return None
    if row.ids is None:
        again = _FOUND.format(snapshot=f"'{seen.snapshot}'")
        return Written(f"WITH {again} {_EACH.format(ids='(SELECT range_agg(ids) FROM found)')}", row.number)
    return Written(_EACH.format(ids=f"'{row.ids}'::int8multirange"), row.number)


def expire() -> None:
    """Remove entries older than KEPT, with the note that they were there."""
    with writing(OPERATOR) as session:
        session.execute(_REMOVE, {"kept": KEPT, "most": AT_ONCE})
