"""Parts of screens and dialogs are timed when they run by themselves, and with their screen when that runs."""

from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from models.database import engine
from models.timings import keeping


def _page() -> None:
    from sqlalchemy import text

    from dashboard.parts import dialog, part
    from models.database import engine
    from models.timings import timed

    def _shown() -> None:
        with engine().connect() as connection:
            connection.execute(text("SELECT 1"))

    shown = part(_shown)
    shown()
    dialog("Look")(_shown)()
    with timed("screen", "planted", user_id=3):
        shown()


def test_a_part_or_a_dialog_is_timed_once_by_itself_or_with_its_screen(db: str) -> None:
    with keeping():
        assert not AppTest.from_function(_page).run().exception
    with engine().connect() as connection:
        rows = connection.execute(text("SELECT kind, sum(times) FROM timings GROUP BY kind ORDER BY kind"))
        assert [tuple(row) for row in rows] == [("part", 2), ("screen", 1)]
