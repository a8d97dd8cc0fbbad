import pytest
from streamlit.testing.v1 import AppTest

from dashboard.widgets.export_progress import sentence
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
