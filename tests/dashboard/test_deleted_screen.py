from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from models.contacts import deleted, records
from models.errors import NotFound
from models.permissions import OPERATOR, Actor, Role
from tests.dashboard.conftest import NARROW_MANAGER, Site, click_in_table

Screen = Callable[..., AppTest]


@pytest.fixture
def manager(site: Site) -> Actor:
    return site.people[Role.MANAGER].actor()


def gone(by: Actor, **values: str) -> int:
    contact = records.create(values, anyway=True, by=by)
    records.delete(contact, version=0, by=by)
    return contact


def said(test: AppTest) -> str:
    assert not test.exception, test.exception
    return "\n".join(one.value for kind in (test.markdown, test.caption, test.title) for one in kind)


def ticked(test: AppTest, *rows: int) -> AppTest:
    test.session_state[test.dataframe[0].key] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    return test.run()


def press(test: AppTest, label: str) -> AppTest:
    return next(one for one in test.button if one.label == label).click().run()


def test_nothing_is_deleted_yet(screen: Screen) -> None:
    test = screen(Role.ADMIN, at="deleted")
    assert "No contact is deleted" in said(test)
    assert not test.dataframe
    assert press(test, "Contacts").dataframe


@pytest.mark.parametrize("who", [Role.ADMIN, Role.MANAGER, NARROW_MANAGER])
def test_who_edits_contacts_sees_what_was_deleted(screen: Screen, manager: Actor, who: Role | str) -> None:
    gone(manager, first_name="Zoë", last_name="Müller", title="CEO", company="Acme", email="zoe@acme.example")
    table = screen(who, at="deleted").dataframe[0].value
    assert (table["name"][0], table["title"][0], table["by"][0]) == ("Zoë Müller", "CEO", "An manager")
    assert ("company" in table, "email" in table) == ((False, False) if who == NARROW_MANAGER else (True, True))


def test_the_analyst_is_told_who_may(screen: Screen, manager: Actor) -> None:
    gone(manager, first_name="Zoë")
    test = screen(Role.ANALYST, at="deleted")
    assert "You may not edit contacts" in said(test)
    assert not test.dataframe


def test_those_that_are_ticked_come_back(screen: Screen, manager: Actor) -> None:
    ids = [gone(manager, first_name=name, last_name="Back") for name in ("Ada", "Bea", "Cid")]
    test = screen(Role.MANAGER, at="deleted", q="back")
    assert list(test.dataframe[0].value["name"]) == ["Cid Back", "Bea Back", "Ada Back"]
    assert next(one for one in test.button if one.label == "Restore").disabled
    test = ticked(test, 0, 2)
    records.restore(ids[0], by=OPERATOR)  # meanwhile, by somebody else
    test = press(test, "Restore")
    assert [one.value for one in test.toast] == ["1 contact restored; 1 had been restored already"]
    assert list(test.dataframe[0].value["name"]) == ["Bea Back"]
    assert records.get(ids[2], by=manager).values["first_name"] == "Cid"


def test_the_search_stands_in_the_address(screen: Screen, manager: Actor) -> None:
    contact = gone(manager, first_name="Ænigma", last_name="<b>X</b>")
    gone(manager, first_name="Other")
    test = screen(Role.ADMIN, at="deleted")
    test.text_input[0].set_value("ænig").run()
    assert test.query_params == {"q": "ænig"}
    assert list(test.dataframe[0].value["name"]) == ["Ænigma <b>X</b>"]
    test.text_input[0].set_value("no such").run()
    assert "No deleted contact matches this" in said(test)
    assert not press(test, "Show all").query_params
    test = screen(Role.ADMIN, at="deleted", q="ænig")
    test = click_in_table(test, "open", 0)
    assert test.query_params == {"id": str(contact)}
    assert "**Deleted** by An manager" in said(test)


def test_pages(screen: Screen, manager: Actor) -> None:
    for number in range(55):
        gone(manager, first_name=f"N{number}", last_name="Paged")
    test = screen(Role.ADMIN, at="deleted", q="paged")
    assert len(test.dataframe[0].value) == 50
    test.pagination[0].set_value(2).run()
    assert test.query_params == {"q": "paged", "page": "2"}
    assert "51–55 of 55" in said(test)
    assert len(screen(Role.ADMIN, at="deleted", q="paged", page="99").dataframe[0].value) == 5


@pytest.mark.parametrize("asked", [{"page": "0"}, {"page": "x"}, {"page": "9" * 5000}, {"q": "x" * 10_000}])
def test_what_cannot_be_read_is_said(screen: Screen, asked: dict[str, str]) -> None:
    test = screen(Role.ADMIN, at="deleted", **asked)
    assert "pages are numbers from 1" in said(test) or "more than 200" in said(test)


def test_a_contact_that_is_there_is_no_deleted_one(manager: Actor, site: Site) -> None:
    contact = records.create({"first_name": "There"}, by=manager)
    with pytest.raises(NotFound):
        records.restore(contact, by=manager)
    assert contact not in [one.id for one in deleted.page(by=manager)[0]]
