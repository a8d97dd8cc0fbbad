from collections.abc import Callable
from itertools import count

import pytest
from sqlalchemy import insert
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from dashboard import session
from models import industries, users
from models.contacts.table import Contact
from models.database import writing
from models.permissions import OPERATOR, Role
from tests.dashboard.conftest import NARROW, Site, click_in_table
from tests.dashboard.contacts_data import INDUSTRIES, ROWS

Screen = Callable[..., AppTest]
ACTIONS = ["Rename", "Merge into another", "Take the merge back", "Deactivate"]
_numbers = count(1)


def made(name: str, contacts: int = 0) -> int:
    """An industry of a name that no other test has, with so many contacts; its id."""
    made = industries.create(f"{name} {next(_numbers)}", by=OPERATOR).id
    if contacts:
        with writing(OPERATOR) as session:
            session.execute(insert(Contact), [{"last_name": name, "industry_id": made}] * contacts)
    return made


def stored(industry_id: int) -> tuple[industries.Industry, int]:
    return next((one, n or 0) for one, n in industries.listed(by=OPERATOR, with_inactive=True) if one.id == industry_id)


def buttons(test: AppTest) -> dict[str, Button]:
    assert not test.exception, test.exception
    return {one.label: one for one in test.button}


def selected(test: AppTest, name: str) -> AppTest:
    """After a click on the row of that name."""
    [place] = [at for at, one in enumerate(test.dataframe[0].value["name"]) if one == name]
    test.session_state[test.dataframe[0].key] = {"selection": {"rows": [place], "columns": [], "cells": []}}
    return test.run()


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MANAGER])
def test_who_manages_industries_sees_numbers_and_what_can_be_done(screen: Screen, role: Role) -> None:
    test = screen(role, at="industries")
    table = test.dataframe[0].value.set_index("name")
    assert set(INDUSTRIES) <= set(table.index)
    numbers = {metric.label: metric.value for metric in test.metric}
    assert int(numbers["Contacts with one"]) + int(numbers["Contacts without"]) >= ROWS
    assert all(buttons(test)[label].disabled for label in ACTIONS)
    assert not buttons(test)["New"].disabled


def test_who_may_not_see_the_column_sees_no_industries(screen: Screen) -> None:
    test = screen(Role.ANALYST, at="industries")
    assert "You may not see the column Industry: an administrator can allow it." in [
        one.value.replace("\\", "") for one in test.caption
    ]
    assert not test.dataframe
    assert not set(buttons(test)) & {"New", *ACTIONS}
    assert not test.metric


def test_an_analyst_sees_industries_and_changes_none(screen: Screen) -> None:
    users.change("analyst@example.com", users.Changes(every_column=True), by=OPERATOR)
    test = screen(Role.ANALYST, at="industries")
    assert set(INDUSTRIES) <= set(test.dataframe[0].value["name"])
    assert not set(buttons(test)) & {"New", *ACTIONS}
    users.change("analyst@example.com", users.Changes(column_allowed=NARROW), by=OPERATOR)


def test_actions_come_with_a_selection(screen: Screen) -> None:
    [source, into] = [stored(made("Softwear", 3))[0], stored(made("Programs", 1))[0]]
    test = selected(screen(Role.MANAGER, at="industries"), source.name)
    assert f"**{source.name}** · 3 contacts" in [one.value for one in test.caption]
    assert [label for label in ACTIONS if buttons(test)[label].disabled] == ["Take the merge back"]
    industries.merge(source.id, into.id, by=OPERATOR)
    test = selected(screen(Role.MANAGER, at="industries"), source.name)
    assert not buttons(test)["Take the merge back"].disabled
    buttons(test)["Activate"].click().run()
    assert [toast.value for toast in test.toast] == [f"“{source.name}” is in use again."]
    assert stored(source.id)[0].is_active


def test_the_search_looks_for_parts_of_names_in_any_capitals(screen: Screen) -> None:
    name = stored(made("Ænigma & <b>Söhne</b>"))[0].name
    test = screen(Role.ADMIN, at="industries")
    search = next(one for one in test.text_input if one.label == "Search")
    search.set_value(" söhne ").run()
    assert list(test.dataframe[0].value["name"]) == [name]
    search.set_value("no such thing").run()
    assert not test.dataframe
    assert any("No industry is called so" in one.value for one in test.markdown)


def test_a_thousand_industries(screen: Screen) -> None:
    names = [f"Branch {number:04}" for number in range(1000)]
    with writing(OPERATOR) as session:
        session.execute(insert(industries.Industry), [{"name": name} for name in names])
    test = screen(Role.ADMIN, at="industries")
    assert len(test.dataframe[0].value) >= 1000


def dialog(name: str, ids: list[int]) -> None:
    """The dialog for the first of the industries, over and over, as its own fragment runs."""
    from dashboard.widgets import industry_dialogs
    from models import industries
    from models.permissions import OPERATOR

    listing = industries.listed(by=OPERATOR, with_inactive=True)
    one, number = next(row for row in listing if row[0].id == ids[0])
    arguments = {
        "create": (listing,),
        "rename": (one, number, listing),
        "merge": (one, listing),
        "unmerge": (one, listing),
        "deactivate": (one, number),
    }
    getattr(industry_dialogs, f"{name}_dialog")(*arguments[name])


@pytest.fixture
def opened(site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    actor = site.people[Role.MANAGER].actor()
    monkeypatch.setattr(session, "someone", lambda: actor)

    def run(name: str, *ids: int) -> AppTest:
        test = AppTest.from_function(dialog, kwargs={"name": name, "ids": list(ids)}, default_timeout=60)
        test.context = {"locale": "en-GB", "timezone": "UTC"}
        return test.run()

    return run


def words(test: AppTest) -> str:
    return "\n".join(one.value for kind in (test.markdown, test.caption, test.error) for one in kind)


def test_a_new_industry(opened: Callable[..., AppTest]) -> None:
    taken = stored(made("Taken"))[0]
    test = opened("create", taken.id)
    test.text_input[0].set_value(taken.name.upper())
    buttons(test)["Create"].click().run()
    assert f"There is an industry “{taken.name}” already" in words(test)
    test.text_input[0].set_value("  ")
    buttons(test)["Create"].click().run()
    assert "an industry needs a name" in words(test)
    test.text_input[0].set_value(f"{taken.name} not")
    buttons(test)["Create"].click().run()
    assert f"{taken.name} not" in {one.name for one, _ in industries.listed(by=OPERATOR, with_inactive=False)}


def test_renaming_tells_of_old_links(opened: Callable[..., AppTest]) -> None:
    one = made("Sofware", 2)
    test = opened("rename", one)
    assert "**2 contacts** at once" in words(test)
    assert "Files that give the old name still mean this industry. Stored links that filter by it" in words(test)
    test.text_input[0].set_value("Software, at last")
    buttons(test)["Rename"].click().run()
    assert stored(one)[0].name == "Software, at last"


def test_renaming_to_a_taken_name_offers_to_merge(opened: Callable[..., AppTest]) -> None:
    one, other = made("Sofware", 2), made("Software", 5)
    name = stored(other)[0].name
    test = opened("rename", one)
    test.text_input[0].set_value(name.lower())
    buttons(test)["Rename"].click().run()
    assert f"There is an industry “{name}” already." in words(test)
    assert f"to “{name}”." in words(test)
    buttons(test)["Merge, move 2 contacts"].click().run()
    assert (stored(one)[1], stored(other)[1]) == (0, 7)


def test_merging_says_how_many_move(opened: Callable[..., AppTest]) -> None:
    one, other = made("Sofware", 2), made("Software", 5)
    test = opened("merge", one)
    assert buttons(test)["Move 2 contacts"].disabled
    name = stored(other)[0].name
    into = next(option for option in test.selectbox[0].options if option.startswith(name))
    test.selectbox[0].select(into).run()
    assert f"**2 contacts** move from “{stored(one)[0].name}” to “{stored(other)[0].name}”." in words(test)
    assert "will have 7 contacts" in words(test)
    buttons(test)["Move 2 contacts"].click().run()
    assert (stored(one)[1], stored(other)[1]) == (0, 7)
    test = opened("unmerge", one)
    assert "The **2 contacts** that went from" in words(test)
    buttons(test)["Take it back"].click().run()
    assert (stored(one)[1], stored(other)[1]) == (2, 5)


def test_deactivating_says_that_contacts_keep_it(opened: Callable[..., AppTest]) -> None:
    one = made("Fax machines", 1)
    test = opened("deactivate", one)
    assert "stays on its 1 contact, but forms no longer offer it" in words(test)
    buttons(test)["Deactivate"].click().run()
    assert (stored(one)[0].is_active, stored(one)[1]) == (False, 1)


def test_a_click_shows_the_contacts_of_the_industry_that_was_seen(screen: Screen) -> None:
    test = screen(Role.MANAGER, at="industries")
    seen = test.dataframe[0].value["name"][1]
    test.session_state["industry search"] = "no industry"
    test = click_in_table(test, "open", 1)
    assert not test.exception
    assert (test.title[0].value, test.query_params) == ("Contacts", {"industry": seen})
