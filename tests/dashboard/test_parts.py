"""Parts of screens are timed when they run by themselves, and with their screen when that runs."""

from sqlalchemy import text

from dashboard.parts import part
from models.database import engine
from models.timings import keeping, timed


def _shown(number: int) -> int:
    with engine().connect() as connection:
        return int(connection.scalar(text("SELECT cast(:number AS int)"), {"number": number}) or 0)


def test_a_part_is_timed_once_by_itself_or_with_its_screen(db: str) -> None:
    shown = part(_shown)
    with keeping():
        shown(7)
        with timed("screen", "planted", user_id=3):
            shown(8)
    with engine().connect() as connection:
        rows = connection.execute(text("SELECT kind, operation, times, statements FROM timings ORDER BY kind"))
        assert [tuple(row) for row in rows] == [("part", "test_parts.shown", 1, 1), ("screen", "planted", 1, 1)]
