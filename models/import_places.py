"""Where in an import what stands: how many of each kind there are among every BLOCK of its lines.

They are counted once, with the plan. A page of what is rare is then found by reading the few blocks that hold it, and
any page of anything, the last one included, costs at most its own rows' blocks, however long the file is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import BigInteger, Integer, Text, delete, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import Base

BLOCK = 500  # lines, or versions of contacts


class Of(StrEnum):
    """What is numbered: lines of the plan, lines of rejected rows, versions that a commit replaced."""

    PLAN = "plan"
    REJECTS = "rejects"
    VERSIONS = "versions"


class ImportPlace(Base):
    """So many of `what` (an action, a field, a kind of reject and its reason) among the numbers of the block, which are
    those from block * BLOCK on."""

    __tablename__ = "import_places"

    import_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    of: Mapped[str] = mapped_column(Text, primary_key=True)
    what: Mapped[str] = mapped_column(Text, primary_key=True)
    block: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)


@dataclass(frozen=True)
class Stretch:
    """The blocks that hold a page, and how many before it they hold besides."""

    blocks: Sequence[int]
    skip: int


def replace(session: Session, import_id: int, of: Of, counted: str) -> None:
    """Count anew, by the SELECT `counted` of (what, block, number)."""
    session.execute(delete(ImportPlace).where(ImportPlace.import_id == import_id, ImportPlace.of == of))
    # In two steps: only what makes a table reads with several processes.
    session.execute(text("DROP TABLE IF EXISTS pg_temp.counted"))
    session.execute(text(f"CREATE TEMPORARY TABLE counted ON COMMIT DROP AS {counted}"))
    session.execute(
        text("INSERT INTO import_places SELECT :id, :of, what, block, number FROM pg_temp.counted"),
        {"id": import_id, "of": of},
    )
    session.execute(text("DROP TABLE pg_temp.counted"))


def remove(session: Session, import_id: int) -> None:
    session.execute(delete(ImportPlace).where(ImportPlace.import_id == import_id))


def totals(session: Session, import_id: int, of: Of) -> dict[str, int]:
    """What -> how many, the most frequent first."""
    rows = session.execute(
        text(
            """SELECT what, sum(number)::bigint AS number FROM import_places WHERE import_id = :id AND of = :of
            GROUP BY what ORDER BY 2 DESC, 1"""
        ),
        {"id": import_id, "of": of},
    )
    return {row.what: row.number for row in rows}


def stretch(session: Session, import_id: int, of: Of, what: str, *, skip: int, most: int) -> Stretch:
    """Where the `most` are that follow the first `skip`."""
    rows = session.execute(
        text(
            """SELECT block, before FROM (
                SELECT block, number, sum(number) OVER (ORDER BY block) - number AS before FROM import_places
                WHERE import_id = :id AND of = :of AND what = :what
            ) counted
            WHERE before < :skip + :most AND before + number > :skip ORDER BY block"""
        ),
        {"id": import_id, "of": of, "what": what, "skip": skip, "most": most},
    ).all()
    return Stretch([row.block for row in rows], skip - int(rows[0].before) if rows else 0)


def within(blocks: str, number: str) -> str:
    """SQL for whether `number` lies in the block `blocks`, by an index."""
    return f"{number} >= {blocks} * {BLOCK} AND {number} < ({blocks} + 1) * {BLOCK}"
