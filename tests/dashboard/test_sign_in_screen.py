"""The steps of the sign-in page and of links, as a person's tab runs them; test_server.py has the routes."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pyotp
import pytest
from sqlalchemy import func, update
from streamlit.testing.v1 import AppTest

from dashboard import sign_in
from models import account_links, profile, role_rules, second_factors, secret_tokens, sign_ins, users
from models.accounts import User
from models.database import writing
from models.link_tokens import Purpose
from models.permissions import OPERATOR, Role
from models.sign_in_sessions import SignInSession
from tests.people import PASSWORD, link_of, person

Screen = Callable[..., AppTest]
NEW = "purple tractor sings loudly"
_numbers = count(1)


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the browser would have been told to send, instead of a browser."""
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(sign_in, "_post", lambda path, body, next_page=None: sent.append({"path": path, **body}))
    return sent


@pytest.fixture
def required(screen: Screen) -> Iterator[None]:
    """Managers must have a second factor."""
    role_rules.require_second_factor(Role.MANAGER, True, by=OPERATOR)
    yield
    role_rules.require_second_factor(Role.MANAGER, False, by=OPERATOR)


def somebody(role: Role = Role.ANALYST) -> User:
    number = next(_numbers)
    return person(email=f"person{number}@example.com", name=f"Zoe {number}", role=role)


def recovery_codes(user: User) -> list[str]:
    """Those of a second factor that the person has from now on."""
    secret = second_factors.begin(by=user.actor()).secret
    return second_factors.confirm(pyotp.TOTP(secret).now(), by=user.actor())


def texts(test: AppTest) -> str:
    assert not test.exception, test.exception
    return "\n".join(one.value for one in (*test.title, *test.caption, *test.markdown, *test.error, *test.success))


def submit(test: AppTest, label: str, **fields: str) -> AppTest:
    for name, value in fields.items():
        next(one for one in test.text_input if one.label == name).set_value(value)
    return press(test, label)


def password_given(test: AppTest, user: User, password: str = PASSWORD) -> AppTest:
    return submit(test, "Sign in", **{"Work e-mail": user.email.upper(), "Password": password})


def press(test: AppTest, label: str) -> AppTest:
    return next(one for one in test.button if one.label == label).click().run()


def signed_in(ticket: str) -> Any:
    return sign_ins.actor_of(sign_ins.redeem_ticket(ticket, address=None, device=None))


def test_who_was_away_too_long_is_told_why(screen: Screen) -> None:
    test = screen(Role.ADMIN)
    token = screen.token  # type: ignore[attr-defined]
    for ago, told in (
        (timedelta(hours=11), []),
        (timedelta(hours=13), ["Your session has ended, since nobody used it for 12 hours. Sign in again."]),
    ):
        with writing(OPERATOR) as session:
            this = update(SignInSession).where(SignInSession.token_hash == secret_tokens.hashed(token))
            session.execute(this.values(last_seen_at=func.clock_timestamp() - ago))
        test = test.run()
        assert [one.value for one in test.info] == told
    assert [one.label for one in test.text_input] == ["Work e-mail", "Password"]
    sign_ins.sign_out(token)


def test_the_password_alone_signs_in_who_has_no_second_factor(screen: Screen, posted: list[dict[str, Any]]) -> None:
    user = somebody()
    test = password_given(screen(None), user, "wrong")
    assert "and password do not match. 4 tries left" in test.error[0].value
    test.checkbox[0].check()
    password_given(test, user)
    [sent] = posted
    token = sign_ins.redeem_ticket(sent["ticket"], address=None, device=None)
    assert sign_ins.lasts(token) is not None, "Stay signed in was ticked"


def test_a_code_is_asked_for_and_a_wrong_one_is_told(screen: Screen, posted: list[dict[str, Any]]) -> None:
    user = somebody()
    codes = recovery_codes(user)
    test = password_given(screen(None), user)
    assert "Enter your code" in texts(test)
    test = submit(test, "Continue", Code="000000")
    assert "That code does not match" in texts(test)
    assert posted == []
    submit(test, "Continue", Code=codes[0])
    assert signed_in(posted[0]["ticket"]).id == user.id


def test_who_must_have_a_second_factor_sets_it_up_on_the_way_in(
    screen: Screen, posted: list[dict[str, Any]], required: None
) -> None:
    user = somebody(Role.MANAGER)
    test = password_given(screen(None), user)
    assert "Set up a second factor" in texts(test)
    secret = test.code[0].value.replace(" ", "")
    assert len(secret) == 32
    test = submit(test, "Continue", Code="123")
    assert "That code does not match" in texts(test)
    assert test.code[0].value.replace(" ", "") == secret, "the picture that was scanned still counts"
    test = submit(test, "Continue", Code=pyotp.TOTP(secret).now())
    codes = test.code[0].value.splitlines()
    assert len(set(codes)) == 10
    assert posted == []
    press(test, "I have put them away")
    assert signed_in(posted[0]["ticket"]).id == user.id
    assert profile.get(by=user.actor()).second_factor


def test_forgetting_the_password_tells_nobody_who_has_an_account(screen: Screen) -> None:
    user, said = somebody(), []
    for email in (user.email, "nobody@example.com"):
        test = press(screen(None), "Forgot the password?")
        test = submit(test, "Send the link", **{"Work e-mail": email})
        said.append(re.sub(r"\S+@\S+", "E-MAIL", test.success[0].value))
        assert "Sign in" in [one.label for one in press(test, "Back to sign-in").button]
    assert said[0] == said[1]
    assert said[0].startswith("If E-MAIL has an account, a link was made. No mail server is set")


def test_an_invitation_is_accepted(screen: Screen, posted: list[dict[str, Any]]) -> None:
    invited = users.invite(email=f"new{next(_numbers)}@example.com", name="Tom", role=Role.ANALYST, by=OPERATOR)
    test = screen(None, at="overview", link=link_of(invited.user))
    assert "Welcome to Appointment360" in texts(test)
    assert test.text_input[0].value == invited.user.email
    test = submit(test, "Save and sign in", **{"New password": "password1234"})
    assert "among the first that are guessed" in test.error[0].value
    submit(test, "Save and sign in", **{"New password": NEW})
    assert signed_in(posted[0]["ticket"]).id == invited.user.id


def test_a_reset_still_asks_for_the_second_factor(screen: Screen, posted: list[dict[str, Any]]) -> None:
    user = somebody()
    codes = recovery_codes(user)
    test = screen(None, at="overview", link=link_of(user, Purpose.RESET))
    test = submit(test, "Save and sign in", **{"New password": NEW})
    assert "Enter your code" in texts(test)
    assert "link" not in test.query_params
    assert posted == []
    submit(test, "Continue", Code=codes[3])
    assert signed_in(posted[0]["ticket"]).id == user.id


@pytest.mark.parametrize("who", [None, Role.ADMIN])
def test_a_link_that_was_used_says_so(screen: Screen, who: Role | None) -> None:
    user = somebody()
    used = link_of(user, Purpose.RESET)
    account_links.accept(used, NEW, address=None)
    for token in (used, "forged", "", "\x00" * 3, "é" * 5000):
        test = screen(who, at="overview", link=token)
        assert "This link does not work any more" in texts(test)
    assert "link" not in press(test, "Go to sign-in").query_params


def test_a_new_address_is_confirmed(screen: Screen) -> None:
    user = somebody()
    email = f"moved{next(_numbers)}@example.com"
    test = screen(None, at="overview", link=link_of(user, Purpose.EMAIL, email))
    assert "Confirm your e-mail" in texts(test)
    test = press(test, "Use this address")
    assert profile.get(by=user.actor()).email == email
    assert "Sign in to Appointment360" in texts(test)
    assert ["You sign in as" in one.value for one in test.toast] == [True], "said where there is no screen yet"
