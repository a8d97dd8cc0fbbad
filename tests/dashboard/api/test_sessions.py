"""Signing in over HTTP, from the password to the second factor, and what one's own account takes."""

import logging
import re
from datetime import datetime, timedelta
from typing import Any

import httpx
import pyotp
import pytest
from sqlalchemy import select, update

from models import account_links, mails, role_rules, second_factors, sign_ins, users
from models.accounts import User
from models.database import reading, writing
from models.link_tokens import Purpose
from models.mails import Mail
from models.permissions import ACCOUNT, OPERATOR, PERMISSIONS, Role
from models.second_factors import SecondFactor
from models.settings import settings
from tests.dashboard.api.conftest import Client, SignedIn
from tests.people import PASSWORD, link_of, person

NEW = "purple tractor sings loudly"


@pytest.fixture
def ann(db: str) -> User:
    return person(email="ann@example.com", name="Ann", role=Role.ANALYST)


@pytest.fixture
def nobody(client: Client) -> httpx.Client:
    return client(None)


def sign_in(nobody: httpx.Client, password: str = PASSWORD, email: str = "ann@example.com") -> httpx.Response:
    return nobody.post("/sessions", json={"email": email, "password": password})


def bearing(nobody: httpx.Client, answer: Any) -> httpx.Client:
    return httpx.Client(base_url=nobody.base_url, headers={"authorization": f"Bearer {answer['token']}"})


def forget_codes() -> None:
    """As if no code had been used yet: a test cannot wait for the next one."""
    with writing(OPERATOR) as session:
        session.execute(update(SecondFactor).values(last_step=0))


def test_a_session_from_its_beginning_to_its_end(nobody: httpx.Client, ann: User) -> None:
    answer = sign_in(nobody)
    assert (answer.status_code, answer.json()["needs"], answer.headers["cache-control"]) == (201, None, "no-store")
    with bearing(nobody, answer.json()) as me:
        told = me.get("/profile").json()
        assert (told["email"], told["role"], told["second_factor"]) == ("ann@example.com", "analyst", False)
        assert set(told["permissions"]) == {one.scope for one in PERMISSIONS[Role.ANALYST]} | {ACCOUNT}
        [one] = me.get("/sessions").json()
        assert (one["is_this"], one["created_at"][-1]) == (True, "Z")
        assert me.delete("/sessions/current").status_code == 204
        ended = me.get("/profile")
    assert (ended.status_code, ended.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')


def test_sessions_end_one_by_one_and_all_at_once(nobody: httpx.Client, ann: User, signed_in: SignedIn) -> None:
    this, other, third = (signed_in(ann) for _ in range(3))
    [number] = [one["id"] for one in other.get("/sessions").json() if one["is_this"]]
    assert this.delete(f"/sessions/{number}").status_code == 204
    assert this.delete(f"/sessions/{number}").status_code == 404
    assert other.get("/profile").status_code == 401
    assert this.delete("/sessions").json() == {"ended": 1}
    assert (third.get("/profile").status_code, this.get("/profile").status_code) == (401, 200)


def test_a_personal_token_is_no_session(client: Client) -> None:
    refused = client(Role.ANALYST).delete("/sessions/current")
    assert (refused.status_code, "revoke it instead" in refused.json()["detail"]) == (409, True)


def test_a_second_step_where_there_is_a_factor(nobody: httpx.Client, ann: User) -> None:
    secret = second_factors.begin(by=ann.actor()).secret
    codes = second_factors.confirm(pyotp.TOTP(secret).now(), by=ann.actor())
    forget_codes()
    first = sign_in(nobody).json()
    assert (first["needs"], first["token"]) == ("code", None)
    wrong = nobody.post("/sessions/code", json={"ticket": first["ticket"], "code": "000000"})
    assert (wrong.status_code, wrong.json()["detail"][:25]) == (401, "That code does not match,")
    right = {"ticket": first["ticket"], "code": pyotp.TOTP(secret).now()}
    answer = nobody.post("/sessions/code", json=right)
    assert answer.status_code == 201
    assert nobody.post("/sessions/code", json=right).status_code == 401, "a ticket works once"
    with bearing(nobody, answer.json()) as me:
        assert me.get("/profile").json()["recovery_codes_left"] == 10
    recovered = nobody.post("/sessions/code", json={"ticket": sign_in(nobody).json()["ticket"], "code": codes[0]})
    with bearing(nobody, recovered.json()) as me:
        assert me.get("/profile").json()["recovery_codes_left"] == 9


def test_a_factor_is_set_up_where_the_role_asks_for_one(nobody: httpx.Client, ann: User) -> None:
    role_rules.require_second_factor(Role.ANALYST, True, by=OPERATOR)
    first = sign_in(nobody).json()
    assert (first["needs"], first["token"]) == ("enrol", None)
    made = nobody.post("/sessions/enrolment", json={"ticket": first["ticket"]}).json()
    assert pyotp.parse_uri(made["uri"]).secret == made["secret"]
    assert made["svg"].startswith("<svg")
    wrong = {"ticket": first["ticket"], "code": "000000"}
    assert nobody.post("/sessions/enrolment/confirm", json=wrong).status_code == 401
    code = pyotp.TOTP(made["secret"]).now()
    answer = nobody.post("/sessions/enrolment/confirm", json={"ticket": first["ticket"], "code": code}).json()
    assert len(answer["recovery_codes"]) == 10
    assert answer["expires_at"].endswith("Z")
    with bearing(nobody, answer) as me:
        assert me.get("/profile").json()["second_factor_required"] is True
    assert sign_in(nobody).json()["needs"] == "code"


def test_five_failures_of_an_address_wait_for_the_hours_end(nobody: httpx.Client, ann: User) -> None:
    told = [sign_in(nobody, "wrong", f"p{number}@example.com") for number in range(5)]
    assert [one.status_code for one in told] == [401] * 5
    paused = sign_in(nobody)
    assert paused.status_code == 429
    assert 3500 < int(paused.headers["retry-after"]) <= 3600
    assert "Too many failed tries" in paused.json()["detail"]
    limits = [(one.headers["ratelimit-limit"], one.headers["ratelimit-remaining"]) for one in [*told, paused]]
    assert limits == [("5", left) for left in "432100"]
    assert abs(int(paused.headers["ratelimit-reset"]) - int(paused.headers["retry-after"])) <= 1
    ends = [one.json()["detail"].partition("1 min.")[2] for one in told]
    assert ends[:4] == [
        "", " 3 tries left from this address in this hour.", " 2 tries left from this address in this hour.",
        " 1 try left from this address in this hour.",
    ]  # fmt: skip
    assert "Try again in 59 min" in told[4].json()["detail"] or "Try again in 60 min" in told[4].json()["detail"]


def test_a_sign_in_says_what_is_left_and_when_the_session_ends(nobody: httpx.Client, ann: User) -> None:
    for stays, lasts in (
        (False, timedelta(hours=settings().session_hours)),
        (True, timedelta(days=settings().stay_days)),
    ):
        answer = nobody.post("/sessions", json={"email": ann.email, "password": PASSWORD, "stays": stays})
        assert (answer.headers["ratelimit-limit"], answer.headers["ratelimit-remaining"]) == ("5", "5")
        told = answer.json()
        assert told["expires_at"].endswith("Z")
        with bearing(nobody, told) as me:
            [one] = [one for one in me.get("/sessions").json() if one["is_this"]]
            assert me.get("/profile").json()["session_expires_at"] == told["expires_at"]
        assert one["expires_at"] == told["expires_at"]
        rest = datetime.fromisoformat(one["expires_at"]) - datetime.fromisoformat(one["created_at"])
        assert abs(rest - lasts) < timedelta(minutes=1)


def test_the_limit_is_a_setting_and_a_pause_of_the_account_says_when_it_ends(
    nobody: httpx.Client, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "failures_per_hour", 50)
    for _ in range(5):
        sign_in(nobody, "wrong")
    paused = sign_in(nobody)
    assert (paused.status_code, int(paused.headers["retry-after"]) <= 60) == (429, True)
    assert sign_in(nobody, "wrong", "ben@example.com").status_code == 401


def test_nobody_learns_who_has_an_account(nobody: httpx.Client, ann: User) -> None:
    asked = [nobody.post("/password-resets", json={"email": one}) for one in ("ann@example.com", "x@example.com", "?")]
    assert {(one.status_code, one.text) for one in asked} == {(202, asked[0].text)}
    with reading() as session:
        assert [one.email for one in session.scalars(select(Mail).where(Mail.kind == mails.Kind.RESET))] == [ann.email]
    wrong = [sign_in(nobody, "wrong", one).json()["detail"] for one in ("ann@example.com", "x@example.com")]
    assert wrong[0] == wrong[1].removesuffix(" 3 tries left from this address in this hour.")


def test_a_link_chooses_a_password_and_signs_in(nobody: httpx.Client, ann: User, signed_in: SignedIn) -> None:
    before, token = signed_in(ann), link_of(ann, Purpose.RESET)
    for link in (token, f"https://example.com/?link={token}"):
        told = nobody.post("/links/look", json={"link": link}).json()
        assert told == {"purpose": "reset", "email": "ann@example.com", "name": "Ann"}
    weak = nobody.post("/links/password", json={"link": token, "password": "short"})
    assert (weak.status_code, "fewer than 12 characters" in weak.json()["detail"]) == (422, True)
    answer = nobody.post("/links/password", json={"link": token, "password": NEW})
    assert (answer.status_code, answer.json()["needs"]) == (201, None)
    assert before.get("/profile").status_code == 401
    assert sign_in(nobody, NEW).status_code == 201
    for path, body in (("look", {}), ("password", {"password": NEW})):
        assert nobody.post(f"/links/{path}", json={"link": token, **body}).status_code == 410


def test_an_invitation_is_accepted_and_asks_for_what_the_role_asks(nobody: httpx.Client, db: str) -> None:
    role_rules.require_second_factor(Role.ANALYST, True, by=OPERATOR)
    invited = users.invite(email="ben@example.com", name="Ben", role=Role.ANALYST, by=OPERATOR)
    answer = nobody.post("/links/password", json={"link": invited.link, "password": NEW}).json()
    assert (answer["needs"], answer["token"]) == ("enrol", None)
    assert nobody.post("/sessions/enrolment", json={"ticket": answer["ticket"]}).status_code == 201


def test_an_address_is_changed_by_its_link(nobody: httpx.Client, ann: User, signed_in: SignedIn) -> None:
    me = signed_in(ann)
    wrong = me.post("/profile/email", json={"email": "new@example.com", "password": "wrong"})
    assert (wrong.status_code, wrong.json()["detail"].startswith("That is not your current password.")) == (403, True)
    asked = me.post("/profile/email", json={"email": "new@example.com", "password": PASSWORD})
    assert (asked.status_code, "new@example.com" in asked.json()["detail"]) == (202, True)
    assert me.get("/profile").json()["email"] == "ann@example.com"
    token = link_of(ann, Purpose.EMAIL, "new@example.com")
    assert nobody.post("/links/email", json={"link": token}).json() == {"email": "new@example.com"}
    assert me.get("/profile").json()["email"] == "new@example.com"
    assert nobody.post("/links/email", json={"link": token}).status_code == 410


def test_the_profile_is_changed(nobody: httpx.Client, ann: User, signed_in: SignedIn) -> None:
    me, other = signed_in(ann), signed_in(ann)
    assert me.patch("/profile", json={"name": " Ann  Archer "}).json()["name"] == "Ann Archer"
    assert me.patch("/profile", json={"name": " "}).status_code == 422
    assert me.post("/profile/password", json={"current": "wrong", "new": NEW}).status_code == 403
    assert me.post("/profile/password", json={"current": PASSWORD, "new": NEW}).status_code == 204
    assert (me.get("/profile").status_code, other.get("/profile").status_code) == (200, 401)
    assert sign_in(nobody, NEW).status_code == 201


def test_a_second_factor_from_its_beginning_to_its_end(ann: User, signed_in: SignedIn) -> None:
    me = signed_in(ann)
    made = me.post("/profile/second-factor").json()
    assert me.post("/profile/second-factor/confirm", json={"code": "000000"}).status_code == 422
    code = pyotp.TOTP(made["secret"]).now()
    codes = me.post("/profile/second-factor/confirm", json={"code": code}).json()["recovery_codes"]
    assert me.post("/profile/second-factor").status_code == 409
    again = me.post("/profile/recovery-codes", json={"password": PASSWORD}).json()["recovery_codes"]
    assert (len(codes), len(again), set(codes) & set(again)) == (10, 10, set())
    assert me.post("/profile/second-factor/remove", json={"password": "wrong"}).status_code == 403
    assert me.post("/profile/second-factor/remove", json={"password": PASSWORD}).status_code == 204
    assert me.get("/profile").json()["second_factor"] is False


def test_a_found_token_locks_nobody_out(client: Client) -> None:
    program = client(Role.ANALYST)
    for path, body in (("second-factor", None), ("second-factor/confirm", {"code": "123456"})):
        refused = program.post(f"/profile/{path}", json=body)
        assert (refused.status_code, refused.json()["detail"]) == (
            403, "A token may not do this: sign in, and use the session's.",
        )  # fmt: skip


def test_a_token_is_made_once_and_listed_without_itself(ann: User, signed_in: SignedIn, client: Client) -> None:
    me = signed_in(ann)
    made = me.post("/tokens", json={"name": "Nightly", "scopes": ["contacts.read"], "days": 30}).json()
    [listed] = me.get("/tokens").json()
    assert (listed["id"], listed["name"], listed["works"], listed["last_used_at"]) == (
        made["id"], "Nightly", True, None,
    )  # fmt: skip
    assert made["token"] not in me.get("/tokens").text
    with bearing(me, made) as program:
        assert program.get("/contacts").status_code == 200
        assert program.post("/tokens", json={"name": "More"}).status_code == 403
        assert me.get("/tokens").json()[0]["last_used_at"].endswith("Z")
        assert me.delete(f"/tokens/{made['id']}").status_code == 204
        assert program.get("/contacts").status_code == 401
    assert me.post("/tokens", json={"name": "x", "scopes": ["everything"]}).status_code == 422
    assert me.post("/tokens", json={"name": "x", "scope": ["contacts.read"]}).status_code == 422, "an unknown member"


def test_no_secret_is_logged(nobody: httpx.Client, ann: User, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = sign_in(nobody).json()
    sign_in(nobody, "wrong password of hers")
    nobody.post("/links/look", json={"link": link_of(ann, Purpose.RESET)})
    assert not [one for one in (answer["token"], PASSWORD, "wrong password of hers") if one in caplog.text]
    assert not re.search(r"\blink=", caplog.text)


def test_who_was_deactivated_is_out_at_once(ann: User, signed_in: SignedIn) -> None:
    me = signed_in(ann)
    assert me.get("/profile").status_code == 200
    users.deactivate(ann.email, by=OPERATOR)
    assert me.get("/profile").status_code == 401
    assert sign_ins.actor_of(me.headers["authorization"].removeprefix("Bearer ")) is None
    with pytest.raises(account_links.LinkRefused):
        account_links.look(link_of(ann, Purpose.RESET))
