"""Every screen as a manager has it who may see few fields: what is hidden is not offered, and nothing breaks."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import MenuButton

from dashboard import cached, session
from models import filters
from models.contacts import search
from models.contacts.table import FIELDS
from models.errors import NotAllowed
from models.permissions import OPERATOR
from tests.dashboard.conftest import NARROW, NARROW_MANAGER, Site
from tests.dashboard.contacts_data import ROWS

Screen = Callable[..., AppTest]
HIDDEN = [field.label for name, field in FIELDS.items() if name not in NARROW]


def shown(test: AppTest) -> str:
    """All words of the page."""
    assert not test.exception, test.exception
    told = [*test.title, *test.subheader, *test.markdown, *test.caption, *test.error]
    return "\n".join([*(one.value for one in told), *(one.proto.body for one in test.get("html"))])


@pytest.mark.parametrize(
    ("at", "title", "params"),
    [
        ("overview", "Overview", {}),
        ("contacts", "Contacts", {"country": "Germany"}),
        ("contact", "New contact", {"new": "1"}),
        ("duplicates", "Duplicates", {}),
        ("imports", "Imports", {}),
        ("imports", "Imports", {"new": "1"}),
        ("exports", "Exports", {}),
        ("industries", "Industries", {}),
    ],
)
def test_every_screen_opens(screen: Screen, at: str, title: str, params: dict[str, str]) -> None:
    test = screen(NARROW_MANAGER, at=at, **params)
    assert test.title[0].value == title
    assert not [label for label in HIDDEN if label in shown(test).split("\n")]


def test_a_contact_is_read_and_edited(screen: Screen) -> None:
    contact_id = search.page(filters.Filters(), size=1, by=OPERATOR).rows[0]["id"]
    test = screen(NARROW_MANAGER, at="contact", id=str(contact_id))
    assert "Title" in shown(test)
    assert "E-mail" not in shown(test)
    next(one for one in test.button if one.label == "Edit").click().run()
    assert {one.label for one in test.text_input} <= {FIELDS[name].label for name in NARROW}


def ticked(screen: Screen) -> AppTest:
    test = screen(NARROW_MANAGER)
    test.session_state[test.dataframe[0].key] = {"selection": {"rows": [0, 2], "columns": [], "cells": []}}
    return test.run()


def more(test: AppTest) -> MenuButton[str]:
    return next(one for one in test.menu_button if "Delete…" in one.options)


def test_many_contacts_can_be_changed_but_not_in_hidden_fields(screen: Screen) -> None:
    test = ticked(screen)
    assert "**2 selected**" in shown(test)
    assert more(test).options == ["Edit a field…", "Delete…"]
    more(test).click("Edit a field…").run()
    fields = next(one for one in test.selectbox if one.label == "Field")
    assert fields.options == [FIELDS[name].label for name in NARROW]
    assert fields.value is None
    assert next(one for one in test.button if one.label == "Change 2 contacts").disabled
    test = ticked(screen)
    more(test).click("Delete…").run()
    assert "**2 contacts** will be deleted" in shown(test)


def test_a_hidden_field_is_not_counted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    by = site.people[NARROW_MANAGER].actor()
    monkeypatch.setattr(session, "someone", lambda: by)
    for count in (
        lambda: cached.facet(filters.Filters(), "tags", by=by),
        lambda: cached.facet(filters.Filters(), "email", by=by),
        lambda: cached.sizes(filters.Filters(), by=by),
        lambda: cached.values("tags", by=by),
    ):
        with pytest.raises(NotAllowed, match="You may not see the column"):
            count()
    assert sum(cached.facet(filters.Filters(), "country", by=by).values()) == ROWS
