from collections.abc import Callable
from itertools import count

import pyotp
import pytest
from sqlalchemy import select
from streamlit.testing.v1 import AppTest

from dashboard import session
from models import mails, profile, second_factors, sign_ins, tokens
from models.accounts import User
from models.database import reading
from models.mails import Mail
from models.permissions import Role
from tests.dashboard.conftest import Site, click_in_table
from tests.people import PASSWORD, person

Screen = Callable[..., AppTest]
NEW = "purple tractor sings loudly"
_numbers = count(1)


@pytest.fixture
def me(site: Site) -> User:
    number = next(_numbers)
    made = person(email=f"me{number}@example.com", name=f"Mia {number}", role=Role.ANALYST)
    site.people["me"] = made
    return made


def texts(test: AppTest) -> str:
    assert not test.exception, test.exception
    shown = (*test.title, *test.text, *test.caption, *test.markdown, *test.error, *test.toast)
    return "\n".join(one.value for one in shown)


def press(test: AppTest, label: str) -> AppTest:
    return next(one for one in test.button if one.label == label).click().run()


def submit(test: AppTest, label: str, **fields: str) -> AppTest:
    for name, value in fields.items():
        next(one for one in test.text_input if one.label == name).set_value(value)
    return press(test, label)


@pytest.mark.parametrize("role", Role)
def test_everybody_has_a_profile(screen: Screen, site: Site, role: Role) -> None:
    test = screen(role, at="profile")
    assert site.people[role].email in texts(test)
    assert role.description in texts(test)
    assert "(this one)" in test.dataframe[0].value["device"][0]


def dialog(module: str, name: str) -> None:
    """The dialog over and over, as its own fragment runs."""
    import importlib

    from dashboard import session
    from models import profile

    opened = getattr(importlib.import_module(f"dashboard.widgets.{module}"), name)
    opened(*([profile.get(by=session.actor())] if name in ("rename_dialog", "email_dialog", "remove_dialog") else []))


@pytest.fixture
def opened(site: Site, me: User, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], AppTest]:
    token = site.token("me")
    monkeypatch.setattr(session, "cookie_token", lambda: token)

    def run(module: str, name: str) -> AppTest:
        return AppTest.from_function(dialog, kwargs={"module": module, "name": name}, default_timeout=60).run()

    return run


Opened = Callable[[str, str], AppTest]


def test_the_name_is_changed(opened: Opened, screen: Screen, me: User) -> None:
    test = opened("profile_about", "rename_dialog")
    test = submit(test, "Save", Name="   ")
    assert "The name is empty" in test.error[0].value
    submit(test, "Save", Name="Mia <b>Rossi</b>")
    assert "Mia <b>Rossi</b>" in [one.value for one in screen("me", at="profile").text]


def test_a_new_address_waits_for_its_link(opened: Opened, me: User) -> None:
    test = opened("profile_about", "email_dialog")
    test = submit(test, "Send the link", **{"New e-mail": "mia.new@example.com", "Your password": "wrong"})
    assert "That is not your current password" in test.error[0].value
    test = submit(test, "Send the link", **{"New e-mail": "mia.new@example.com", "Your password": PASSWORD})
    assert test.session_state["said"].startswith("A link is on its way to mia.new@example.com.")
    assert profile.get(by=me.actor()).email == me.email
    with reading() as database:
        queued = database.scalars(select(Mail).where(Mail.user_id == me.id, Mail.kind == mails.Kind.EMAIL)).one()
    assert queued.email == "mia.new@example.com"


def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(opened: Opened, site: Site, me: User) -> None:
    other = site.token("me")
    test = opened("profile_about", "password_dialog")
    test = submit(test, "Change", **{"Current password": PASSWORD, "New password": "short"})
    assert "fewer than 12 characters" in test.error[0].value
    test = submit(test, "Change", **{"Current password": PASSWORD, "New password": NEW})
    assert "Your password was changed" in test.session_state["said"]
    assert sign_ins.actor_of(other) is None
    assert session.someone() is not None
    assert sign_ins.check_password(me.email, NEW, address=None).needs is None


def test_a_second_factor_from_its_beginning_to_its_end(opened: Opened, screen: Screen, me: User) -> None:
    test = opened("profile_factor", "set_up_dialog")
    secret = test.code[0].value.replace(" ", "")
    test = submit(test, "Turn it on", Code="000000")
    assert "That code does not match" in texts(test)
    test = submit(test, "Turn it on", Code=pyotp.TOTP(secret).now())
    first, after = test.session_state["recovery codes"]
    assert (len(first), after) == (10, "Your second factor is on.")
    assert "10 recovery codes left." in texts(screen("me", at="profile"))

    test = submit(opened("profile_factor", "codes_dialog"), "Make new ones", **{"Your password": PASSWORD})
    second, after = test.session_state["recovery codes"]
    assert (len(second), after) == (10, "The codes from before no longer work.")
    assert not set(first) & set(second)


def test_recovery_codes_stay_until_they_are_put_away(screen: Screen, me: User) -> None:
    test = screen("me", at="profile")
    test.session_state["recovery codes"] = (["AAAA-BBBB-CCCC"], "Your second factor is on.")
    for _ in range(2):
        test = test.run()
        assert [one.value for one in test.code] == ["AAAA-BBBB-CCCC"]
    test = press(test, "I have put them away")
    assert not test.code
    assert [one.value for one in test.toast] == ["Your second factor is on."]


def test_a_second_factor_is_given_up(opened: Opened, me: User) -> None:
    secret = second_factors.begin(by=me.actor()).secret
    second_factors.confirm(pyotp.TOTP(secret).now(), by=me.actor())

    submit(opened("profile_factor", "remove_dialog"), "Remove", **{"Your password": PASSWORD})
    assert not profile.get(by=me.actor()).second_factor


def test_sessions_end_one_by_one_and_all_at_once(screen: Screen, site: Site, me: User) -> None:
    others = [site.token("me") for _ in range(3)]
    test = screen("me", at="profile")
    assert len(test.dataframe[0].value) == 4
    assert list(test.dataframe[0].value["end"].notna()) == [False, True, True, True]
    test = click_in_table(test, "end", 1, "Sign out")
    assert "Signed out there." in texts(test)
    assert len(test.dataframe[0].value) == 3
    assert sum(sign_ins.actor_of(token) is not None for token in others) == 2
    test = press(test, "Sign out everywhere else")
    assert [sign_ins.actor_of(token) for token in others] == [None] * 3
    assert len(test.dataframe[0].value) == 1


def pick(test: AppTest, label: str, value: object) -> AppTest:
    return next(one for one in test.button_group if one.label == label).set_value(value).run()


def test_a_token_is_made_and_shown_only_once(opened: Opened, screen: Screen, me: User) -> None:
    test = opened("profile_tokens", "new_dialog")
    test = press(test, "Make it")
    assert "The name is empty" in test.error[0].value
    test = pick(test, "What it may do", "Only some")
    next(one for one in test.text_input if one.label == "Name").set_value("Nightly <b>export</b>")
    test = press(test, "Make it")
    assert "A token without a scope could do nothing" in test.error[0].value
    test = pick(test, "Scopes", ["contacts.export"])
    test = pick(test, "Works for", "Until revoked")
    test = press(test, "Make it")
    name, token = test.session_state["token made"]
    assert name == "Nightly <b>export</b>"
    by = tokens.actor_of(token, address="192.0.2.7")
    assert by is not None
    assert (by.id, by.scopes) == (me.id, frozenset({"contacts.export"}))

    test = screen("me", at="profile")
    [row] = [table.value for table in test.dataframe if "ending" in table.value]
    assert (row["name"][0], row["may"][0], row["ending"][0], row["revoke"][0]) == (
        "Nightly <b>export</b>", "Export contacts", f"…{token[-4:]}", "Revoke",
    )  # fmt: skip
    assert row["used"].notna()[0]
    assert token not in texts(test)


def test_a_token_stays_until_it_is_put_away(screen: Screen, me: User) -> None:
    test = screen("me", at="profile")
    test.session_state["token made"] = ("Nightly", "a360_x")
    for _ in range(2):
        test = test.run()
        assert [one.value for one in test.code] == ["a360_x", "Authorization: Bearer a360_…"]
    test = press(test, "I have put it away")
    assert not test.code


def revoking(token_id: int, name: str) -> None:
    from dashboard.widgets.profile_tokens import revoke_dialog

    revoke_dialog(token_id, name)


def test_a_token_is_revoked_from_its_row(screen: Screen, opened: Opened, me: User) -> None:
    first, _ = tokens.create("First", by=me.actor())
    second, _ = tokens.create("Second", by=me.actor())
    test = screen("me", at="profile")
    table = next(one for one in test.dataframe if "ending" in one.value)
    test = click_in_table(test, "revoke", 1, "Revoke", table=table)
    assert "Programs that show **First** are refused from now on." in texts(test)
    test = AppTest.from_function(revoking, kwargs={"token_id": first, "name": "First"}, default_timeout=60).run()
    test = press(test, "Revoke")
    assert test.session_state["said"] == "First was revoked."
    assert {one.id: one.works for one in tokens.listed(by=me.actor())} == {first: False, second: True}
    table = next(one for one in screen("me", at="profile").dataframe if "ending" in one.value)
    assert (list(table.value["state"]), list(table.value["revoke"].notna())) == ([["Works"], ["Over"]], [True, False])


def test_without_tokens_it_says_what_they_are_for(screen: Screen, me: User) -> None:
    assert "A token lets a program use the API in your name" in texts(screen("me", at="profile"))
