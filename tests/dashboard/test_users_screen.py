"""Administrators manage people; each action is pressed on the screen and read from the database."""

from collections.abc import Callable
from itertools import count

import pyotp
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from dashboard import session
from models import account_links, credits, role_rules, second_factors, settings, sign_ins, tokens, users
from models.permissions import DEEDS, OPERATOR, Role
from models.users import Person, Status
from tests.dashboard.conftest import Site
from tests.people import person

Screen = Callable[..., AppTest]
Opened = Callable[..., AppTest]
ACTIONS = ["Edit", "Columns", "Grant credits", "New link", "Reset second factor", "End sessions", "Deactivate"]
_numbers = count(1)


@pytest.fixture
def ben(site: Site) -> Person:
    """An analyst of their own for the test."""
    number = next(_numbers)
    made = person(email=f"ben{number}@example.com", name=f"Ben* {number}", role=Role.ANALYST)
    return stored(made.email)


def stored(email: str) -> Person:
    return users.person(email, by=OPERATOR)


def buttons(test: AppTest) -> dict[str, Button]:
    assert not test.exception, test.exception
    return {one.label: one for one in test.button}


def texts(test: AppTest) -> str:
    assert not test.exception, test.exception
    return "\n".join(one.value for one in (*test.markdown, *test.caption, *test.error, *test.success, *test.toast))


def selected(screen: Screen, who: Person) -> AppTest:
    """The screen with the row of that person selected, found by the search in the address."""
    test = screen(Role.ADMIN, at="users", q=who.email)
    assert list(test.dataframe[0].value["email"]) == [who.email]
    test.session_state[test.dataframe[0].key] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    return test.run()


def dialog(name: str, email: str | None) -> None:
    """The dialog about that person, over and over, as its own fragment runs."""
    from dashboard.widgets import role_card, user_dialogs
    from models import users
    from models.permissions import OPERATOR, Role

    if name == "rule":
        role_card._ask(Role.ANALYST, email is None, users.everyone(by=OPERATOR))
    else:
        getattr(user_dialogs, name)(*([users.person(email, by=OPERATOR)] if email else []))


@pytest.fixture
def opened(site: Site, monkeypatch: pytest.MonkeyPatch) -> Opened:
    actor = site.people[Role.ADMIN].actor("10.0.0.7")
    monkeypatch.setattr(session, "someone", lambda: actor)

    def run(name: str, who: Person | None = None) -> AppTest:
        email = who.email if who else None
        test = AppTest.from_function(dialog, kwargs={"name": name, "email": email}, default_timeout=60)
        test.context = {"locale": "en-GB", "timezone": "UTC"}
        return test.run()

    return run


def test_everybody_with_role_status_use_and_limit(screen: Screen, site: Site, ben: Person) -> None:
    invited = users.invite(email="lea@example.com", name="Lea", role=Role.MANAGER, by=OPERATOR).user
    users.change(ben.email, users.Changes(column_allowed=("person", "email")), by=OPERATOR)
    test = screen(Role.ADMIN, at="users")
    rows = test.dataframe[0].value.set_index("email")
    assert set(rows.index) == {one.email for one in users.everyone(by=OPERATOR)}
    assert rows.loc[ben.email][["role", "status", "used", "limit", "columns", "factor"]].tolist() == [
        ["Analyst"], ["Active"], 0, "100", "6 of 46", "Off",
    ]  # fmt: skip
    assert rows.loc[invited.email]["status"] == ["Invited"]
    assert rows.loc["admin@example.com"]["limit"] == "No limit"
    assert "1 invitation waiting" in texts(test)
    assert all(buttons(test)[label].disabled for label in ACTIONS)


def test_search_and_status_are_the_address(screen: Screen, site: Site, ben: Person) -> None:
    users.deactivate(ben.email, by=OPERATOR)
    test = screen(Role.ADMIN, at="users", status="deactivated")
    assert ben.email in list(test.dataframe[0].value["email"])
    assert {tuple(one) for one in test.dataframe[0].value["status"]} == {("Deactivated",)}
    next(one for one in test.text_input if one.label == "Search").set_value(f" {ben.name.upper()} ").run()
    assert list(test.dataframe[0].value["email"]) == [ben.email]
    assert (test.query_params["q"], test.query_params["status"]) == (ben.name.upper(), "deactivated")
    next(one for one in test.text_input if one.label == "Search").set_value("no such person").run()
    assert "Nobody matches this" in texts(test)


@pytest.mark.parametrize("role", [Role.MANAGER, Role.ANALYST])
def test_others_do_not_manage_people(screen: Screen, role: Role) -> None:
    test = screen(role, at="users")
    assert "You may not manage users" in texts(test)
    assert not test.dataframe
    assert "Invite" not in buttons(test)


def test_an_invitation_shows_its_link_where_no_mail_server_is_set(opened: Opened, site: Site) -> None:
    test = opened("_invite")
    test.text_input(key="invite e-mail").set_value("new@example.com")
    test.text_input(key="invite name").set_value("New")
    test.radio(key="invite role").set_value(Role.MANAGER)
    test.number_input(key="invite limit").set_value(700)
    test.segmented_control(key="invite columns which").set_value("Only some").run()
    test.checkbox(key="invite columns FINANCE").uncheck().run()
    test.pills(key="invite columns FINANCE fields").set_value(["annual_revenue"]).run()
    assert "Hidden are 4 fields: " in texts(test)
    test.button(key="invite send").click().run()
    made = stored("new@example.com")
    assert (made.status, made.role, made.download_limit) == (Status.INVITED, Role.MANAGER, 700)
    assert made.column_allowed is not None
    assert "finance" not in made.column_allowed
    assert {"person", "annual_revenue"} <= set(made.column_allowed)
    token = test.code[0].value.partition("link=")[2]
    assert account_links.look(token).email == "new@example.com"
    buttons(test)["Done"].click().run()
    assert "people link" not in test.session_state


def test_a_refused_invitation_says_why_and_keeps_what_was_typed(opened: Opened, site: Site, ben: Person) -> None:
    test = opened("_invite")
    test.text_input(key="invite e-mail").set_value(ben.email.upper())
    test.text_input(key="invite name").set_value("Ben again")
    test.button(key="invite send").click().run()
    assert "There is a user with the e\\-mail" in texts(test)
    assert test.text_input(key="invite name").value == "Ben again"


def test_name_role_and_limit(opened: Opened, ben: Person) -> None:
    test = opened("edit", ben)
    test.text_input(key=f"edit name {ben.id}").set_value("Benjamin")
    test.radio(key=f"edit role {ben.id}").set_value(Role.MANAGER)
    test.checkbox(key=f"edit limit {ben.id} none").check()
    test.button(key=f"edit save {ben.id}").click().run()
    changed = stored(ben.email)
    assert (changed.name, changed.role, changed.download_limit) == ("Benjamin", Role.MANAGER, None)


def test_columns_group_by_group(opened: Opened, ben: Person) -> None:
    users.change(ben.email, users.Changes(column_allowed=("person", "email")), by=OPERATOR)
    test = opened("columns", ben)
    key = f"columns {ben.id}"
    assert test.checkbox(key=f"{key} PERSON").value
    assert test.pills(key=f"{key} REACH fields").value == ["email"]
    assert "Hidden are 40 fields: all of Company, all of Finance" in texts(test)
    test.checkbox(key=f"{key} COMPANY").check().run()
    test.pills(key=f"{key} REACH fields").set_value([]).run()
    assert "all of E-mail and phone" in texts(test)
    test.button(key=f"columns save {ben.id}").click().run()
    assert stored(ben.email).column_allowed == ("person", "company details")
    test = opened("columns", ben)
    test.segmented_control(key=f"{key} which").set_value("Every column").run()
    test.button(key=f"columns save {ben.id}").click().run()
    assert stored(ben.email).column_allowed is None


def test_credits_are_granted(opened: Opened, ben: Person) -> None:
    test = opened("grant", ben)
    assert "has 100 until" in texts(test)
    test.number_input(key="grant amount").set_value(250)
    test.text_input(key="grant note").set_value("for the fair")
    test.button(key="grant send").click().run()
    assert credits.balance(of=ben.id, by=OPERATOR).lasting == 250


@pytest.mark.parametrize("number", [None, 0, -3, 2_000_000_000])
def test_no_number_is_granted_that_nobody_typed(opened: Opened, ben: Person, number: int | None) -> None:
    before = credits.balance(of=ben.id, by=OPERATOR).lasting
    test = opened("grant", ben)
    test.number_input(key="grant amount").set_value(number)
    test.button(key="grant send").click().run()
    assert "credits cannot be granted" in test.error[0].value
    assert credits.balance(of=ben.id, by=OPERATOR).lasting == before


def test_granted_credits_are_taken_back(opened: Opened, ben: Person) -> None:
    credits.grant(ben.email, 7, by=OPERATOR)
    left = credits.balance(of=ben.id, by=OPERATOR).lasting
    test = opened("grant", ben)
    test.segmented_control[0].set_value("Take back").run()
    test.number_input(key="grant amount").set_value(left + 1)
    test.button(key="grant send").click().run()
    assert f"has {left:,}" in test.error[0].value
    test.number_input(key="grant amount").set_value(left)
    test.button(key="grant send").click().run()
    assert credits.balance(of=ben.id, by=OPERATOR).lasting == 0


def test_a_limit_below_zero_is_refused(opened: Opened, ben: Person) -> None:
    test = opened("edit", ben)
    test.number_input(key=f"edit limit {ben.id}").set_value(-1)
    test.button(key=f"edit save {ben.id}").click().run()
    assert "The download limit is" in test.error[0].value


def test_a_link_for_a_new_password(opened: Opened, ben: Person) -> None:
    test = opened("_new_link", ben)
    buttons(test)["Make the link"].click().run()
    token = test.code[0].value.partition("link=")[2]
    assert account_links.look(token).email == ben.email
    assert "hand this link for a new password over" in texts(test)


def test_with_a_mail_server_it_is_mailed(opened: Opened, ben: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPOINTMENT360_SMTP_HOST", "mail.example.com")
    settings.settings.cache_clear()
    try:
        test = opened("_new_link", ben)
        buttons(test)["Make the link"].click().run()
        assert "was mailed to" in texts(test)
        assert not test.code
    finally:
        monkeypatch.delenv("APPOINTMENT360_SMTP_HOST")
        settings.settings.cache_clear()


def signed_in(who: Person) -> str:
    actor = users.find(who.email, by=OPERATOR).actor()
    return sign_ins.redeem_ticket(sign_ins.issue_ticket(actor), address="10.0.0.1", device="a test")


def test_a_second_factor_is_reset_and_sessions_end(opened: Opened, ben: Person) -> None:
    actor = users.find(ben.email, by=OPERATOR).actor()
    second_factors.confirm(pyotp.TOTP(second_factors.begin(by=actor).secret).now(), by=actor)
    token = signed_in(ben)
    test = opened("end_sessions", ben)
    buttons(test)["End sessions"].click().run()
    assert sign_ins.actor_of(token) is None
    test = opened("reset_factor", ben)
    buttons(test)["Reset"].click().run()
    assert not stored(ben.email).second_factor


def test_tokens_end_with_the_sessions_where_that_is_wished(opened: Opened, ben: Person) -> None:
    actor = users.find(ben.email, by=OPERATOR).actor()
    _, token = tokens.create("Nightly", by=actor)
    buttons(opened("end_sessions", ben))["End sessions"].click().run()
    assert tokens.actor_of(token, address=None) is not None
    test = opened("end_sessions", ben)
    [too] = test.checkbox
    assert too.label == "Revoke 1 token of programs, too"
    too.check().run()
    buttons(test)["End sessions"].click().run()
    assert tokens.actor_of(token, address=None) is None
    assert test.session_state["said"] == f"{ben.name} was signed out in 0 places; 1 token revoked."
    assert not opened("end_sessions", ben).checkbox


def test_actions_fit_the_selected_person(screen: Screen, opened: Opened, ben: Person) -> None:
    buttons(opened("deactivate", ben))["Deactivate"].click().run()
    assert stored(ben.email).status is Status.DEACTIVATED
    test = selected(screen, ben)
    assert [label for label in ACTIONS if label in buttons(test) and buttons(test)[label].disabled] == [
        "New link", "Reset second factor", "End sessions",
    ]  # fmt: skip
    buttons(test)["Reactivate"].click().run()
    assert "may sign in again" in texts(test)
    assert stored(ben.email).status is Status.ACTIVE
    buttons(selected(screen, ben))["Edit"].click().run()


def test_the_last_administrator_stays(opened: Opened, site: Site) -> None:
    admin = stored(site.people[Role.ADMIN].email)
    test = opened("deactivate", admin)
    assert "This is your own account" in texts(test)
    buttons(test)["Deactivate"].click().run()
    assert "This is the last active administrator: name another one first" in texts(test).replace("\\", "")
    assert stored(admin.email).status is Status.ACTIVE
    test = opened("edit", admin)
    test.radio(key=f"edit role {admin.id}").set_value(Role.ANALYST)
    test.button(key=f"edit save {admin.id}").click().run()
    assert "This is the last active administrator" in texts(test)
    assert stored(admin.email).role is Role.ADMIN


def test_what_a_role_may_do_and_its_rule(screen: Screen, opened: Opened, ben: Person) -> None:
    token = signed_in(ben)
    test = screen(Role.ADMIN, at="users")
    table = test.table[0].value
    assert list(table[""]) == list(DEEDS)
    assert list(table.columns) == ["", "Admin", "Manager", "Analyst"]
    assert all(role.description in texts(test) for role in Role)
    test.toggle(key="second factor of analyst").set_value(True).run()
    assert "signed out at once" in texts(test)
    assert not test.toggle(key="second factor of analyst").value  # until it is confirmed
    buttons(opened("rule"))["Require it"].click().run()
    assert role_rules.second_factor_required(Role.ANALYST, by=OPERATOR)
    assert sign_ins.actor_of(token) is None
    assert screen(Role.ADMIN, at="users").toggle(key="second factor of analyst").value
    buttons(opened("rule", ben))["Ask no longer"].click().run()
    assert not role_rules.second_factor_required(Role.ANALYST, by=OPERATOR)
