"""The frame of the screens: text as it stands, refusals, and grey blocks while a screen reads."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.widgets import columns
from dashboard.widgets.page import plain
from models.contacts.table import FIELDS
from models.permissions import Role
from tests.dashboard.conftest import NARROW_MANAGER

Screen = Callable[..., AppTest]
READING = ["overview", "contacts", "imports", "exports", "industries"]


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("**b** [l](x) $x$ :red[y] <b> & ~ `", r"\*\*b\*\* \[l\]\(x\) \$x\$ \:red\[y\] \<b\> \& \~ \`"),
        ("www.evil.example HTTPS://evil.example", "www\u2060.evil.example HTTPS\u2060\\://evil.example"),
        ("a\n===\n\n# b", r"a === \# b"),
        ("1. a 2.5", r"1\. a 2.5"),
        ("Country is ", "Country is "),
    ],
)
def test_text_is_shown_as_it_stands(text: str, markdown: str) -> None:
    assert plain(text) == markdown


def refused() -> None:
    import streamlit as st

    from dashboard.widgets import page
    from models.errors import Conflict

    for passing in (False, True):
        with page.refusals(passing=passing):
            raise Conflict("[Somebody](https://evil.example) was faster.")
    with page.empty("lock", "[No](x)", "*Really*"):
        st.write("It goes on")


def test_a_refusal_and_an_empty_screen_are_plain_text() -> None:
    test = AppTest.from_function(refused).run()
    sentence = "\\[Somebody\\]\\(https\u2060\\://evil.example\\) was faster."
    assert [one.value for one in (*test.error, *test.toast)] == [sentence, sentence]
    assert r"**\[No\]\(x\)**" in [one.value for one in test.markdown]
    assert r"\*Really\*" in [one.value for one in test.caption]
    assert "It goes on" in [one.value for one in test.markdown]


@pytest.mark.parametrize("at", READING)
@pytest.mark.parametrize("who", [*Role, NARROW_MANAGER])
def test_no_grey_block_stays(screen: Screen, who: Role | str, at: str) -> None:
    test = screen(who, at=at)
    assert not test.exception
    assert not test.get("skeleton")


@pytest.mark.parametrize("at", READING)
def test_grey_blocks_stand_where_a_screen_reads_for_the_first_time(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    heights: list[int] = []
    monkeypatch.setattr("streamlit.skeleton", heights.append)
    test = screen(NARROW_MANAGER, at=at)
    assert 500 <= sum(heights) <= 1300
    heights.clear()
    assert not test.run().exception
    assert heights == []


def test_a_column_is_called_as_the_sentences_of_filters_call_its_field() -> None:
    assert {name: columns.label(name) for name in FIELDS} == {name: field.title for name, field in FIELDS.items()}
