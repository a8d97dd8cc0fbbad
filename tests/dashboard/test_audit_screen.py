import csv
import io
from collections.abc import Callable
from datetime import date

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from models import audit, audit_log, users
from models.audit import Event
from models.audit_log import Wanted
from models.contacts import records
from models.database import writing
from models.permissions import OPERATOR, Actor, Role
from tests.dashboard.conftest import Site

Screen = Callable[..., AppTest]


def selected(test: AppTest, place: int) -> AppTest:
    test.session_state[test.dataframe[0].key] = {"selection": {"rows": [place], "columns": [], "cells": []}}
    return test.run()


def texts(test: AppTest) -> str:
    assert not test.exception, test.exception
    return "\n".join(one.value for one in (*test.markdown, *test.caption, *test.subheader))


@pytest.fixture
def ann(site: Site) -> Actor:
    return site.people[Role.ADMIN].actor("10.0.0.7")


@pytest.fixture
def contact(site: Site, ann: Actor) -> int:
    contact_id = records.create({"last_name": "Zoe", "email": "old@example.com"}, by=ann)
    records.update(contact_id, {"email": "new@example.com", "title": "=CEO*"}, version=0, by=ann)
    return contact_id


def test_the_lines_and_one_of_them_whole(screen: Screen, ann: Actor, contact: int) -> None:
    test = screen(Role.ADMIN, at="audit", about=f"contact {contact}")
    rows = test.dataframe[0].value
    assert list(rows["event"]) == [["Contact changed"], ["Contact created"]]
    assert list(rows["who"]) == [ann.name] * 2
    assert rows["address"][0] == "10.0.0.7"
    assert rows["told"][0] == "Title: – → =CEO*; E-mail: old@example.com → new@example.com"
    test = selected(test, 0)
    table = test.table[0].value
    assert list(table.columns) == ["", "Before", "After"]
    cells = [[cell.replace("\u2060", "") for cell in row] for row in table.values.tolist()]  # no links
    assert cells == [["Title", "–", "=CEO\\*"], ["E\\-mail", "old@example.com", "new@example.com"]]
    next(one for one in test.button if one.label == f"Show contact {contact}").click().run()
    assert not test.exception
    assert test.query_params["id"] == str(contact)


def test_the_controls_are_the_address(screen: Screen, contact: int) -> None:
    test = screen(Role.ADMIN, at="audit", about="contact", event="contact changed", since="2026-01-01", q="zoe")
    assert next(one for one in test.text_input if one.label == "On what").value == "contact"
    assert test.multiselect[0].value == ["contact changed"]
    test.multiselect[0].set_value(["contact changed", "signed in"]).run()
    assert test.query_params["event"] == ["contact changed", "signed in"]
    assert test.query_params["since"] == "2026-01-01"
    test.selectbox[0].set_value("admin@example.com").run()
    assert test.query_params["who"] == "admin@example.com"
    test.date_input[0].set_value((date(2020, 1, 1), date(2020, 1, 2))).run()
    assert (test.query_params["since"], test.query_params["until"]) == ("2020-01-01", "2020-01-02")
    assert "No line matches this" in texts(test)


def test_pages(screen: Screen, site: Site) -> None:
    with writing(OPERATOR) as session:
        for number in range(120):
            audit.write(session, Event.CHECKS_RAN, f"page {number}", by=OPERATOR)
    test = screen(Role.ADMIN, at="audit", about="page")
    seen = list(test.dataframe[0].value["on"])
    for _ in range(2):
        next(one for one in test.button if one.label == "Older").click().run()
        seen += list(test.dataframe[0].value["on"])
    assert seen == [f"Page {number}" for number in reversed(range(120))]
    assert next(one for one in test.button if one.label == "Older").disabled
    next(one for one in test.button if one.label == "Newest").click().run()
    assert "before" not in test.query_params
    assert test.query_params["about"] == "page"


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"since": "soon"}, "write a day like"),
        ({"event": "x"}, "There is no event “x”"),
        ({"before": "x"}, "it is the number of a line"),
        ({"before": "9" * 5000}, "it is the number of a line"),
        ({"colour": "red"}, "has no filter “colour”"),
    ],
    ids=lambda given: str(given)[:40],
)
def test_an_address_that_cannot_be_read(screen: Screen, params: dict[str, str], sentence: str) -> None:
    test = screen(Role.ADMIN, at="audit", **params)
    assert "This address cannot be read" in texts(test)
    assert sentence.replace("-", "\\-") in texts(test)
    next(one for one in test.button if one.label == "Show all").click().run()
    assert test.dataframe


@pytest.mark.parametrize("role", [Role.MANAGER, Role.ANALYST])
def test_others_may_not_read_it(screen: Screen, role: Role) -> None:
    test = screen(role, at="audit")
    assert "You may not read the audit log" in texts(test)
    assert not test.dataframe


def test_what_is_hidden_is_said(screen: Screen, site: Site, contact: int) -> None:
    email = site.people[Role.ADMIN].email
    users.change(email, users.Changes(column_allowed=("last_name", "title")), by=OPERATOR)
    try:
        test = selected(screen(Role.ADMIN, at="audit", about=f"contact {contact}"), 0)
        assert "new@" not in "".join(test.dataframe[0].value["told"])
        assert list(test.table[0].value[""]) == ["Title"]
        assert "Some of it is hidden from you" in texts(test)
    finally:
        users.change(email, users.Changes(every_column=True), by=OPERATOR)


def test_the_file(web: str, site: Site, contact: int) -> None:
    def fetch(who: Role | None, **params: str) -> httpx.Response:
        cookies = {"session": site.token(who)} if who else {}
        return httpx.get(f"{web}/audit/log.csv", params=params, cookies=cookies)

    answer = fetch(Role.ADMIN, about=f"contact {contact}")
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''audit%20log.csv"
    assert answer.headers["cache-control"] == "no-store"
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [row[2] for row in rows] == ["Event", "Contact changed", "Contact created"]
    [line] = audit_log.page(Wanted(events=("audit log exported",)), size=1, by=OPERATOR)[0]
    assert (line.who, line.more) == (site.people[Role.ADMIN].name, {"filter": f"about=contact+{contact}"})
    assert (fetch(None).status_code, fetch(Role.MANAGER).status_code) == (401, 403)
    assert fetch(Role.ADMIN, since="soon").status_code == 400
