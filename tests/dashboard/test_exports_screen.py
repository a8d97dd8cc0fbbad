import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import func, update
from streamlit.testing.v1 import AppTest

from dashboard import flow_runs, session
from dashboard.widgets import export_table
from models import credits, exports
from models.contacts.table import FIELDS
from models.database import writing
from models.exports import Export, State
from models.filters import parse
from models.permissions import OPERATOR, Role
from models.users import User
from tests import ledger
from tests.dashboard.conftest import Site, click_in_table
from tests.dashboard.contacts_data import ROWS

Screen = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def _no_exports(site: Site) -> Iterator[None]:
    yield
    ledger.forget()


def asked(site: Site, role: Role, *conditions: str, **values: Any) -> int:
    by = site.people[role].actor()
    export_id = exports.request(filters=parse(conditions, by=by), columns=["title", "country"], format="csv", by=by)
    if values:
        with writing(OPERATOR) as session:
            session.execute(update(Export).where(Export.id == export_id).values(**values))
    return export_id


def done(site: Site, role: Role, *conditions: str, path: str = "kept/contacts.csv") -> int:
    finished = {"finished_at": func.now(), "rows": 12, "bytes": 4096, "sha256": "ab" * 32, "seconds": 3.2}
    return asked(site, role, *conditions, state=State.DONE, path=path, **finished)


def table(test: AppTest) -> list[dict[str, Any]]:
    assert not test.exception, test.exception
    return test.dataframe[0].value.to_dict("records")


def selected(test: AppTest, place: int) -> AppTest:
    test.session_state[test.dataframe[0].key] = {"selection": {"rows": [place], "columns": [], "cells": []}}
    return test.run()


def click(test: AppTest, label: str) -> AppTest:
    return next(one for one in test.button if one.label == label).click().run()


def words(test: AppTest) -> str:
    assert not test.exception, test.exception
    return "\n".join(one.value for kind in (test.markdown, test.caption, test.error, test.info) for one in kind)


@pytest.mark.parametrize("role", list(Role))
def test_without_exports_it_says_where_they_are_made(screen: Screen, role: Role) -> None:
    test = screen(role, at="exports")
    assert "You have not exported anything yet" in words(test)
    assert "A file is kept for 7 days, its receipt for good." in words(test)
    assert not test.dataframe


@pytest.mark.parametrize("role", list(Role))
def test_everyone_sees_their_own_and_administrators_everybodys(screen: Screen, site: Site, role: Role) -> None:
    for asker in Role:
        done(site, asker, f"title={asker}")
    test = screen(role, at="exports")
    seen = [row["what"] for row in table(test)]
    everybodys = ["Title is analyst", "Title is manager", "Title is admin"]
    assert seen == (everybodys if role is Role.ADMIN else [f"Title is {role}"])
    assert ("by" in test.dataframe[0].proto.column_order) == (role is Role.ADMIN)
    if role is Role.ADMIN:
        assert [row["by"] for row in table(test)] == ["An analyst", "An manager", "An admin"]


def test_every_state_has_its_word_and_its_action(screen: Screen, site: Site) -> None:
    done(site, Role.MANAGER)
    done(site, Role.MANAGER, path="")
    asked(site, Role.MANAGER, state=State.FAILED, error="The disk is full.")
    exports.cancel(asked(site, Role.MANAGER), by=site.people[Role.MANAGER].actor())
    asked(site, Role.MANAGER, state=State.RUNNING, rows=3, total=7)
    asked(site, Role.MANAGER)
    rows = table(screen(Role.MANAGER, at="exports"))
    assert [
        (row["state"][0], row["action"].split(": ")[1], row["rows"]) for row in rows if row["rows"] == row["rows"]
    ] == [
        ("Running", "Cancel", 7),
        ("No longer kept", "Ask again", 12),
        ("Ready", "Download", 12),
    ]
    assert [row["state"][0] for row in rows] == ["Waiting", "Running", "Cancelled", "Failed", "No longer kept", "Ready"]
    assert {row["state"][0] for row in rows} <= set(export_table.STATES)
    assert (rows[-1]["size"], rows[-1]["took"]) == ("4.1 KB", "3 s")


def test_the_receipt_has_the_hash_and_leads_back_to_the_contacts(screen: Screen, site: Site) -> None:
    done(site, Role.MANAGER, "country=Germany", "employees.gte=50")
    test = screen(Role.MANAGER, at="exports")
    assert "Select an export to see its receipt" in words(test)
    test = selected(test, 0)
    assert "Country is Germany and Employees at least 50" in words(test)
    assert "ab" * 32 in words(test)
    [link] = test.get("link_button")
    assert re.fullmatch(r"/exports/\d+/file", link.proto.url)
    test = click(test, "Show these contacts")
    assert test.query_params == {"country": "Germany", "employees.gte": "50"}


def test_the_receipt_of_a_selection_leads_to_the_selected_alone(screen: Screen, site: Site) -> None:
    by, ids = site.people[Role.MANAGER].actor(), [3, 5, 8]
    exports.request(filters=parse(["last_name.empty=no"], by=by), columns=["title"], format="csv", ids=ids, by=by)
    test = click(selected(screen(Role.MANAGER, at="exports"), 0), "Show these contacts")
    assert test.query_params == {"contact": ["3", "5", "8"]}
    assert f"**3** of {ROWS} contacts" in words(test)
    assert "Contact is **3 or 5 or 8**" in [one.label for one in test.button]


def test_a_selection_too_large_for_an_address_says_so(screen: Screen, site: Site) -> None:
    by, many = site.people[Role.MANAGER].actor(), list(range(1, 202))
    exports.request(filters=parse([], by=by), columns=["title"], format="csv", ids=many, by=by)
    test = selected(screen(Role.MANAGER, at="exports"), 0)
    [show] = [one for one in test.button if one.label == "Show these contacts"]
    assert (show.disabled, show.help) == (True, "It holds 201 selected contacts: too many to be named in an address")


def test_a_failed_export_says_why_and_is_asked_for_again(screen: Screen, site: Site) -> None:
    failed = asked(site, Role.MANAGER, "country=Germany", state=State.FAILED, error="The disk is full.")
    test = selected(screen(Role.MANAGER, at="exports"), 0)
    assert "The disk is full." in words(test)
    test = click(test, "Ask for it again")
    [again, _] = exports.mine(by=site.people[Role.MANAGER].actor())
    assert again.id > failed
    assert (again.state, again.filter_query, again.columns) == (State.WAITING, "country=Germany", ["title", "country"])
    assert [row["state"][0] for row in table(test)] == ["Waiting", "Failed"]


def test_what_may_no_longer_be_seen_is_not_asked_for_again(screen: Screen, site: Site) -> None:
    asked(site, Role.ANALYST, columns=["email"], state=State.FAILED, error="The disk is full.")
    test = click(selected(screen(Role.ANALYST, at="exports"), 0), "Ask for it again")
    assert [toast.value for toast in test.toast] == [
        "You may not see the column E\\-mail\\: an administrator can allow it."
    ]
    assert exports.count(by=site.people[Role.ANALYST].actor()) == 1


def test_one_that_runs_shows_how_far_it_is_and_can_be_cancelled(screen: Screen, site: Site) -> None:
    long_ago = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, 20)
    running = asked(site, Role.MANAGER, state=State.RUNNING, rows=30_000, total=100_000, started_at=long_ago)
    test = screen(Role.MANAGER, at="exports")
    numbers = {metric.label: metric.value for metric in test.metric}
    assert numbers["Done"] == "30%"
    assert 1300 <= int(numbers["Speed"].removesuffix(" rows/s").replace(",", "")) <= 1500
    assert re.fullmatch(r"(4|5)\d s", numbers["Time left"])
    test = click(test, "Cancel")
    assert exports.get(running, by=OPERATOR).state == State.CANCELLED
    assert not test.metric
    assert [row["state"][0] for row in table(test)] == ["Cancelled"]


def test_a_click_cancels_the_export_that_was_seen_though_the_list_has_moved(screen: Screen, site: Site) -> None:
    meant = asked(site, Role.MANAGER)
    test = screen(Role.ADMIN, at="exports")
    another = asked(site, Role.ANALYST)
    click_in_table(test, "action", 0, export_table.CANCEL)
    assert [exports.get(one, by=OPERATOR).state for one in (meant, another)] == [State.CANCELLED, State.WAITING]


def test_one_that_waits_is_started_when_the_scheduler_is_there(
    screen: Screen, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    waiting, tried = asked(site, Role.MANAGER), []
    test = screen(Role.MANAGER, at="exports")
    assert "Waiting" in [one.value for one in test.subheader]
    assert any("waits for the scheduler" in one.text for one in test.get("progress"))

    def is_there(export_id: int) -> bool:
        tried.append(export_id)
        return True

    monkeypatch.setattr(flow_runs, "start_export", is_there)  # its own tests talk to a server
    test.run()
    test.run()
    assert tried == [waiting]


def test_a_long_list_comes_in_pages(screen: Screen, site: Site) -> None:
    ids = [done(site, Role.MANAGER, f"employees={number}") for number in range(52)]
    test = screen(Role.MANAGER, at="exports")
    assert len(table(test)) == 50
    test.pagination[0].set_value(2).run()
    assert [row["what"] for row in table(test)] == ["Employees is 1", "Employees is 0"]
    assert len(ids) == exports.count(by=site.people[Role.MANAGER].actor())


def test_the_dialog_says_what_the_file_will_hold(screen: Screen, site: Site) -> None:
    test = click(screen(Role.ANALYST, country="Germany"), "Export")
    assert f"**{site.in_germany} contacts** · Country is Germany" in words(test)
    assert "It is kept for 7 days, its receipt for good." in words(test)
    assert "fields are hidden for you and left out" in words(test)
    numbers = {metric.label: metric.value for metric in test.metric}
    assert (numbers["Contacts"], numbers["Columns"]) == (f"{site.in_germany}", "5")
    assert numbers["Takes credits"] == f"{site.in_germany}"
    assert "You have no limit of credits." in words(test)


@pytest.fixture
def limited(site: Site) -> Iterator[None]:
    """The analyst may take out 40 contacts a month."""
    yield from _with_limit(site, 40)


def _with_limit(site: Site, limit: int) -> Iterator[None]:
    def stored(value: int | None) -> None:
        with writing(OPERATOR) as session:
            analyst = User.id == site.people[Role.ANALYST].id
            session.execute(update(User).where(analyst).values(download_limit=value))

    stored(limit)
    yield
    stored(None)


def test_the_dialog_refuses_what_is_too_much_and_says_the_way_out(screen: Screen, site: Site, limited: None) -> None:
    test = click(screen(Role.ANALYST, country="Germany"), "Export")
    sentence = f"This would take {site.in_germany} credits; you have 40 until 1 "
    assert any(one.value.startswith(sentence) and "ask an administrator" in one.value for one in test.error)
    export = next(one for one in test.button if one.label == f"Export {site.in_germany} contacts")
    assert export.disabled
    credits.grant(site.people[Role.ANALYST].email, 300, by=OPERATOR)
    test = click(screen(Role.ANALYST, country="Germany"), "Export")
    assert not test.error
    assert "You have 40 credits until 1 " in words(test)
    assert "and 300 that last." in words(test)


def test_the_screen_says_what_is_left(screen: Screen, site: Site, limited: None) -> None:
    assert "You have 40 credits until 1 " in words(screen(Role.ANALYST, at="exports"))
    assert "You have no limit of credits." in words(screen(Role.MANAGER, at="exports"))


def test_the_receipt_says_who_took_what_for_how_much(screen: Screen, site: Site) -> None:
    done(site, Role.MANAGER, "country=Germany", "employees.gte=50")
    test = selected(screen(Role.ADMIN, at="exports"), 0)
    shown = words(test)
    for expected in ("An manager", "Credits", "`country=Germany&employees.gte=50`", "Country is Germany and Employees"):
        assert expected in shown
    assert len(test.get("bidi_component")) >= 2  # the buttons that copy the filter and the hash


@pytest.mark.parametrize(
    ("sha256", "rows", "said"),
    [
        ("ab" * 32, 12, "Nothing changed since export {}: the SHA-256 is the same."),
        ("cd" * 32, 12, "The data changed since export {}: 12 contacts as then, with other values."),
        ("cd" * 32, 14, "The data changed since export {}: 12 contacts then, 14 now."),
    ],
)
def test_run_again_and_compare_says_what_changed(screen: Screen, site: Site, sha256: str, rows: int, said: str) -> None:
    old = done(site, Role.MANAGER, "country=Germany")
    test = click(selected(screen(Role.MANAGER, at="exports"), 0), "Run again and compare")
    assert f"It will be compared with export {old}." in words(test)
    [new, _] = exports.mine(by=site.people[Role.MANAGER].actor())
    assert (new.again_of, new.state, new.filter_query) == (old, State.WAITING, "country=Germany")
    finished = {"state": State.DONE, "path": "x", "finished_at": func.now(), "rows": rows, "sha256": sha256}
    with writing(OPERATOR) as session:
        session.execute(update(Export).where(Export.id == new.id).values(**finished))
    test.run()
    told = [one.value for one in (*test.success, *test.warning)]
    assert told == [said.format(old)]


def own_credits(actor: object) -> None:
    from dashboard.widgets.credits import balance

    balance(actor)


def test_ones_own_credits_and_where_they_went(site: Site, limited: None) -> None:
    by = site.people[Role.ANALYST].actor()
    credits.grant(site.people[Role.ANALYST].email, 5, "for the fair", by=OPERATOR)
    export_id = exports.request(filters=parse([], by=by), columns=["title"], format="csv", ids=[1, 2, 3], by=by)
    test = AppTest.from_function(own_credits, kwargs={"actor": by}, default_timeout=60)
    test.context = {"locale": "en-GB", "timezone": "UTC"}
    test.run()
    assert not test.exception, test.exception
    assert {metric.label: metric.value for metric in test.metric} == {
        "Left this month": "37", "Used this month": "3", "Granted": "5"
    }  # fmt: skip
    assert "of 40 until 1 " in words(test)
    lines = [(row["what"], row["credits"], row["left"], row["why"]) for row in table(test)[:2]]
    assert lines == [
        ("Held", -3, 37, f"Export {export_id}"),
        ("Granted", 5, 5, "for the fair (operator)"),
    ]
    assert [row["what"] for row in table(test)] == ["Held", "Granted", "Allowance"]


def dialog(actor: object) -> None:
    """The dialog over and over, as its own fragment runs."""
    from dashboard.address import View
    from dashboard.widgets.export_dialog import export_dialog
    from models.filters import parse

    export_dialog(View(parse(["country=Germany"], by=actor)), 1234)


@pytest.fixture
def opened(site: Site, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    actor = site.people[Role.MANAGER].actor()
    monkeypatch.setattr(session, "someone", lambda: actor)
    test = AppTest.from_function(dialog, kwargs={"actor": actor}, default_timeout=60)
    test.context = {"locale": "en-GB", "timezone": "UTC"}
    return test.run()


def choose(test: AppTest, label: str, value: str) -> None:
    next(one for one in test.button_group if one.label == label).set_value(value).run()


def requested(test: AppTest, site: Site) -> Export:
    click(test, "Export 1,234 contacts")
    [export] = exports.mine(by=site.people[Role.MANAGER].actor())
    return export


def test_the_shown_columns_are_exported_unless_others_are_chosen(opened: AppTest, site: Site) -> None:
    assert requested(opened, site).columns[:4] == ["first_name", "last_name", "title", "company"]


def test_every_column_is_that_and_what_no_field_took(opened: AppTest, site: Site) -> None:
    choose(opened, "Columns", "all")
    assert requested(opened, site).columns == [*FIELDS, "extra"]


def test_columns_are_chosen_in_their_order(opened: AppTest, site: Site) -> None:
    choose(opened, "Columns", "some")
    opened.multiselect[0].set_value([]).run()
    assert next(one for one in opened.button if one.label == "Export 1,234 contacts").disabled
    opened.multiselect[0].set_value(["city", "email"]).run()
    assert requested(opened, site).columns == ["city", "email"]


def test_formulas_are_a_matter_of_spreadsheets(opened: AppTest, site: Site) -> None:
    opened.checkbox[0].check().run()
    choose(opened, "Format", "parquet")
    assert opened.checkbox[0].disabled
    assert "DuckDB" in words(opened)
    export = requested(opened, site)
    assert (export.format, export.raw_formulas) == ("parquet", False)
