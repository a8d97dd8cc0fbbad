import re
from datetime import UTC, datetime, timedelta

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.widgets.export_progress import pace, sentence
from models.exports import Export, State


def shown(path: str) -> None:
    from dashboard.widgets.export_progress import download_link
    from models.exports import Export, State

    download_link(Export(id=7, state=State.DONE, path=path))


@pytest.mark.parametrize(("path", "links"), [("kept/contacts.csv", ["/exports/7/file"]), ("", [])])
def test_there_is_a_download_while_there_is_a_file(path: str, links: list[str]) -> None:
    test = AppTest.from_function(shown, kwargs={"path": path}).run()
    assert not test.exception
    assert [link.proto.url for link in test.get("link_button")] == links


def test_an_export_whose_time_is_over_says_so() -> None:
    export = Export(id=7, state=State.DONE, path="", file_name="contacts.csv", rows=12, bytes=400)
    assert sentence(export).endswith("was made: 12 contacts, 400 B. Its file is no longer kept.")
    export.path = "kept/contacts.csv"
    assert sentence(export).endswith("is ready: 12 contacts, 400 B.")


def test_a_running_export_says_how_fast_it_is() -> None:
    begun = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    export = Export(id=7, state=State.RUNNING, file_name="contacts.csv", rows=0, total=100_000, started_at=begun)
    assert pace(export, at=begun + timedelta(seconds=5)) == 0
    assert sentence(export).endswith("is being made: **0%**, 0 of 100,000 contacts.")
    export.rows = 25_000
    assert pace(export, at=begun + timedelta(seconds=5)) == 5000
    assert pace(export, at=begun - timedelta(seconds=5)) == 250_000  # the database's clock is ahead of ours
    assert re.search(r"\*\*25%\*\*, 25,000 of 100,000 contacts, [\d,.]+ a second, .* left\.$", sentence(export))


def test_a_cancelled_export_says_who_stopped_it() -> None:
    export = Export(id=7, state=State.CANCELLED, file_name="contacts.csv", error="An *analyst* stopped it.")
    assert sentence(export).endswith(r"was cancelled: An \*analyst\* stopped it.")
