"""Somebody who knows the code tries to get in, to get more, and to leave no trace; each road once, over the network."""

import csv
import importlib
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from email import message_from_bytes, policy
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pyotp
import pytest
from sqlalchemy import select, text, update
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.testing.v1 import AppTest
from websockets.exceptions import InvalidStatus

from dashboard import access_log, session
from deploy.local import Connection
from deploy.ports import Reservation
from deploy.up import Machine
from models import (
    account_links,
    credits,
    exports,
    mails,
    preferences,
    profile,
    role_rules,
    second_factors,
    settings,
    sign_in_failures,
    sign_ins,
    users,
)
from models.accounts import User
from models.audit import AuditLine, Event
from models.database import reading, writing
from models.errors import AppError, NotAllowed, NotFound
from models.filters import Filters
from models.link_tokens import LinkRefused, Purpose
from models.mails import Mail
from models.networks import neighbourhood
from models.permissions import OPERATOR, Role
from models.sign_ins import SignInRefused
from tests import statements
from tests.dashboard.conftest import Site, served
from tests.dashboard.tab import tab
from tests.people import PASSWORD, link_of, person

NEW = "purple tractor sings loudly"
WRONG = "not the password at all"
SIGN_IN = b"Sign in to Appointment360"
_numbers = count(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attacked")


@pytest.fixture(scope="module")
def web(site: Site, folder: Path) -> Iterator[str]:
    with served(site.url, folder) as address:
        yield address


def somebody(role: Role = Role.ANALYST, **more: Any) -> User:
    number = next(_numbers)
    return person(email=f"victim{number}@example.com", name=f"Vera {number}", role=role, **more)


def with_factor() -> tuple[User, str, list[str]]:
    """A person, the secret of their second factor, and recovery codes."""
    user = somebody()
    begun = second_factors.begin(by=user.actor())
    codes = second_factors.confirm(pyotp.TOTP(begun.secret).now(), by=user.actor())
    with writing(OPERATOR) as session:  # as if that code had been an older one
        session.execute(text("UPDATE second_factors SET last_step = 0"))
    return user, begun.secret, codes


def redeem(web: str, ticket: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{web}/auth/session", json={"ticket": ticket}, headers={"origin": web, **headers})


def cookie_of(web: str, user: User) -> str:
    """The value of a new cookie, got with the right password."""
    return redeem(web, sign_ins.check_password(user.email, PASSWORD, address=None).ticket).cookies["session"]


def let_in(web: str, cookie: str) -> bool:
    """Whether both doors open, the routes' and the screens'."""
    by_route = httpx.get(f"{web}/media/none", headers={"cookie": f"session={cookie}"}).status_code != 401
    with tab(web, f"session={cookie}") as one:
        by_socket = SIGN_IN not in one.run("profile")
    assert by_route == by_socket
    return by_route


def at_once(*calls: Callable[[], Any]) -> list[bool]:
    """Which of the calls were not refused, all made at the same time."""
    together, done = threading.Barrier(len(calls)), [False] * len(calls)

    def make(place: int, call: Callable[[], Any]) -> None:
        together.wait()
        try:
            found = call()
            done[place] = not isinstance(found, httpx.Response) or found.is_success
        except AppError:
            pass

    threads = [threading.Thread(target=make, args=one) for one in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


# Replay


def test_a_ticket_is_good_once_for_one_step_and_not_after_a_change(web: str) -> None:
    user, secret, _ = with_factor()
    plain = somebody()
    factor = sign_ins.check_password(user.email, PASSWORD, address=None).ticket
    assert redeem(web, factor).status_code == 401, "a ticket for the second step is none for the cookie"
    of_session = sign_ins.check_password(plain.email, PASSWORD, address=None).ticket
    with pytest.raises(SignInRefused):
        sign_ins.check_code(of_session, pyotp.TOTP(secret).now(), address=None)
    assert sum(at_once(*[lambda: redeem(web, of_session)] * 6)) == 1
    changes: list[Callable[[User], Any]] = [
        lambda one: profile.change_password(PASSWORD, NEW, by=one.actor(), token=None),
        lambda one: users.deactivate(one.email, by=OPERATOR),
        lambda one: account_links.accept(link_of(one, Purpose.RESET), NEW, address=None),
        lambda one: sign_ins.end_all(one.email, by=OPERATOR),
    ]
    for change in changes:
        one = somebody()
        stolen = sign_ins.check_password(one.email, PASSWORD, address=None).ticket
        change(one)
        assert redeem(web, stolen).status_code == 401


def test_a_cookie_ends_with_what_it_stood_for(web: str) -> None:
    signed_out, changed, gone = somebody(), somebody(), somebody()
    cookies = {user.id: cookie_of(web, user) for user in (signed_out, changed, gone)}
    assert all(let_in(web, cookie) for cookie in cookies.values())
    headers = {"origin": web, "cookie": f"session={cookies[signed_out.id]}"}
    assert httpx.post(f"{web}/auth/sign-out", headers=headers).status_code == 204
    profile.change_password(PASSWORD, NEW, by=changed.actor(), token=None)
    users.deactivate(gone.email, by=OPERATOR)
    users.reactivate(gone.email, by=OPERATOR)
    assert not any(let_in(web, cookie) for cookie in cookies.values()), "nor after the account came back"


def test_a_role_and_columns_that_were_taken_count_in_the_open_tab(web: str) -> None:
    user = somebody(Role.ADMIN)
    with tab(web, f"session={cookie_of(web, user)}") as one:
        assert b"What a role may do" in one.run("users")
        assert b"@brightstone.example" in one.run("contacts")
        users.change(user.email, users.Changes(role=Role.ANALYST, column_allowed=("title",)), by=OPERATOR)
        refused = one.run("users")
        assert b"What a role may do" not in refused
        assert b"You may not manage users" in refused
        assert b"@brightstone.example" not in one.run("contacts")


def test_a_code_opens_one_of_two_sign_ins(web: str) -> None:
    for code_of in (lambda secret, _: pyotp.TOTP(secret).now(), lambda _, codes: codes[0]):
        user, secret, codes = with_factor()
        tickets = [sign_ins.check_password(user.email, PASSWORD, address=None).ticket for _ in range(4)]
        check = partial(sign_ins.check_code, code=code_of(secret, codes), address=None)
        assert sum(at_once(*(partial(check, ticket) for ticket in tickets))) == 1
        fresh = sign_ins.check_password(user.email, PASSWORD, address=None).ticket
        with pytest.raises(SignInRefused):
            check(fresh)


def test_a_link_works_once_for_its_purpose_while_it_is_the_newest(web: str) -> None:
    user = somebody()
    link = link_of(user, Purpose.RESET)
    assert sum(at_once(*[lambda: account_links.accept(link, NEW, address=None)] * 4)) == 1
    refused = [link, link_of(user, Purpose.EMAIL, "other@example.com")]
    older = link_of(user, Purpose.RESET)
    users.new_link(user.email, by=OPERATOR)
    closed = somebody()
    refused += [older, link_of(closed, Purpose.RESET)]
    users.deactivate(closed.email, by=OPERATOR)
    for one in refused:
        with pytest.raises(LinkRefused):
            account_links.accept(one, NEW, address=None)
    with pytest.raises(LinkRefused):
        account_links.confirm_email(link_of(user, Purpose.RESET), address=None)
    with tab(web) as one:
        assert b"This link does not work any more" in one.run("", f"link={link}")


# Fixation


def test_no_cookie_from_before_becomes_the_signed_in_one(web: str) -> None:
    user = somebody()
    for planted in ("planted", "x" * 4000, cookie_of(web, somebody())):
        ticket = sign_ins.check_password(user.email, PASSWORD, address=None).ticket
        answer = redeem(web, ticket, cookie=f"session={planted}; __Host-session={planted}")
        assert answer.cookies["session"] != planted
        assert getattr(sign_ins.actor_of(planted), "id", None) != user.id
    cookie = cookie_of(web, user)
    media = f"{web}/media/none"
    for sent in (f"session=planted; session={cookie}", f"session={cookie}; session=planted"):
        assert httpx.get(media, headers={"cookie": sent}).status_code in (401, 404), "one of them, or nobody"
    over_https = {"x-forwarded-proto": "https"}
    assert httpx.get(media, headers={"cookie": f"session={cookie}", **over_https}).status_code == 401
    assert httpx.get(media, headers={"cookie": f"__Host-session={cookie}"}).status_code == 401
    with tab(web, f"session={cookie}", **over_https, origin=web.replace("http", "https")) as one:
        assert SIGN_IN in one.run("profile")


# Other sites


def foreign(web: str) -> list[str]:
    host = web.partition("://")[2]
    name, _, port = host.partition(":")
    return [
        "null", "", "https://elsewhere.example", f"http://{name}", f"http://{name}:{int(port) + 1}", f"http://x.{host}",
        f"http://{host}.elsewhere.example", f"http://{host}@elsewhere.example", f"http://{host.upper()}", host,
        f"ftp://{host}", f"//{host}", "http://[", "http://", f"{web}/path", f"{web}, {web}", "file://",
    ]  # fmt: skip


def test_another_site_can_change_nothing(web: str, site: Site) -> None:
    cookie = site.token(Role.ADMIN)
    roads = [
        "POST /auth/session", "POST /auth/sign-out", "POST /imports/uploads", "PUT /imports/1/upload?offset=0",
        "POST /imports/1/upload/complete", "PUT /_stcore/upload_file/a/b", "DELETE /_stcore/upload_file/a/b",
    ]  # fmt: skip
    with httpx.Client(base_url=web, cookies={"session": cookie}) as client:
        for road in roads:
            method, path = road.split()
            assert client.request(method, path, json={}).status_code == 403, "without an Origin"
        for origin in foreign(web):
            assert client.post("/auth/sign-out", headers={"origin": origin}).status_code == 403, origin
        told = {"origin": web, "x-forwarded-proto": "https"}
        assert client.post("/auth/sign-out", headers=told).status_code == 403, "a page over http, on a site over https"
        for kind in ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded", ""):
            ticket = json.dumps({"ticket": "x"})
            answer = client.post("/auth/session", content=ticket, headers={"origin": web, "content-type": kind})
            assert answer.status_code == 415
        for method in ("GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND"):
            for path in ("/auth/session", "/auth/sign-out", "/imports/uploads"):
                answer = client.request(method, path, headers={"x-http-method-override": "POST"})
                assert "set-cookie" not in answer.headers
                assert not any(name.startswith("access-control-") for name in answer.headers)
        assert sign_ins.actor_of(cookie), "nobody was signed out"


def test_another_sites_page_opens_no_socket(web: str, site: Site) -> None:
    for origin in foreign(web):
        with pytest.raises((InvalidStatus, ValueError)) as refused, tab(web, origin=origin or "null"):
            pass
        assert "403" in str(refused.value) or isinstance(refused.value, ValueError), origin


# Who has an account


def accounts_of_every_kind() -> dict[str, str]:
    gone = somebody()
    users.deactivate(gone.email, by=OPERATOR)
    invited = users.invite(
        email=f"invited{next(_numbers)}@example.com", name="Ivo", role=Role.ANALYST, by=OPERATOR
    ).user.email
    unknown = f"nobody{next(_numbers)}@example.com"
    return {"known": somebody().email, "deactivated": gone.email, "invited": invited, "unknown": unknown}


def test_no_answer_tells_who_has_an_account(web: str) -> None:
    emails = accounts_of_every_kind()
    told: dict[str, list[str]] = {}
    with tab(web) as one:
        for kind, email in emails.items():
            one.run()
            one.submit("Sign in", **{"Work e-mail": email, "Password": WRONG})
            told[kind] = [element.alert.body for element in one.elements if element.WhichOneof("type") == "alert"]
    for kind, email in emails.items():
        with tab(web) as one:
            one.run()
            one.submit("Forgot the password?")
            one.submit("Send the link", **{"Work e-mail": email})
            said = [element.alert.body for element in one.elements if element.WhichOneof("type") == "alert"]
            mailbox = email.partition("@")[0]
            told[kind] += [re.sub(rf"{mailbox}\S*", "E-MAIL", line) for line in said]
    assert all(len(lines) == 2 for lines in told.values())
    assert len({tuple(lines) for lines in told.values()}) == 1, told


@contextmanager
def work() -> Iterator[list[str]]:
    """Every statement and every bcrypt that the block takes, in order: what an answer's time consists of."""
    done: list[str] = []
    plain = bcrypt.checkpw

    def counted(password: bytes, stored: bytes) -> bool:
        done.append(f"bcrypt of cost {stored[4:6].decode()}")
        return plain(password, stored)

    with pytest.MonkeyPatch.context() as patch, statements.noted(done):
        patch.setattr(bcrypt, "checkpw", counted)
        yield done


def test_no_answers_time_tells_who_has_an_account(site: Site) -> None:
    """Work is counted, not seconds: the same statements and the same hash take the same time on any machine."""
    sign_in, reset, change = {}, {}, {}
    asking = somebody()
    for kind, email in accounts_of_every_kind().items():
        for _ in range(2):  # the first time something may be loaded
            with work() as sign_in[kind], pytest.raises(SignInRefused):
                sign_ins.check_password(email, WRONG, address="192.0.2.1")
            with work() as reset[kind]:
                account_links.request_reset(email, address="192.0.2.2")
        with work() as change[kind]:
            profile.ask_email_change(email, PASSWORD, by=asking.actor())
    assert sum(line.startswith("bcrypt") for line in sign_in["unknown"]) == 1
    for done in (sign_in, reset):
        assert done["known"] == done["deactivated"] == done["invited"] == done["unknown"]
    # Who is signed in and knows their own password waits for one short statement more where an address is free.
    assert change["known"] == change["deactivated"] == change["invited"] == change["unknown"][: len(change["known"])]


def test_a_new_address_that_is_taken_is_answered_as_a_free_one(site: Site) -> None:
    asking, taken = somebody(), somebody()
    profile.ask_email_change(taken.email.upper(), PASSWORD, by=asking.actor())
    with reading() as session:
        assert session.scalar(select(Mail).where(Mail.user_id == asking.id, Mail.email == taken.email)) is None


# Brute force


def test_many_accounts_from_one_address_and_one_account_from_many(web: str) -> None:
    """Counted in Postgres: what this process has counted holds for the web's."""
    user = somebody()
    for number in range(sign_in_failures.TRIES):
        with pytest.raises(SignInRefused):
            sign_ins.check_password(user.email, WRONG, address=f"198.51.100.{number}")
    with tab(web) as one:
        one.run()
        told = one.submit("Sign in", **{"Work e-mail": user.email, "Password": PASSWORD})
        assert b"Too many failed tries" in told, "the right password, in another process, from another address"
    of_one_network = [f"2001:db8:7:7::{number:x}" for number in range(1, sign_in_failures.ADDRESS_TRIES + 1)]
    for number, address in enumerate(of_one_network):
        with pytest.raises(SignInRefused, match="do not match"):
            sign_ins.check_password(f"guess{number}@example.com", WRONG, address=address)
    with pytest.raises(SignInRefused, match="Too many"):
        sign_ins.check_password(somebody().email, PASSWORD, address="2001:db8:7:7:ffff::1")
    sign_ins.check_password(somebody().email, PASSWORD, address="2001:db8:7:8::1")
    assert neighbourhood("::ffff:192.0.2.1") == "192.0.2.1", "else all of IPv4 would be one address"


def test_an_address_that_tries_all_its_guesses_at_once_has_no_more_of_them(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in_failures, "ADDRESS_TRIES", 3)
    emails = [f"guess at once {number}@example.com" for number in range(20)]
    assert sum(at_once(*(partial(sign_in_failures.begin, email, "192.0.2.77") for email in emails))) == 3


def test_resets_are_limited_for_an_account_and_for_an_address(site: Site) -> None:
    user = somebody()
    for number in range(account_links.RESETS_OF_ACCOUNT + 3):
        account_links.request_reset(user.email.upper(), address=f"203.0.113.{number}")
    with reading() as session:
        queued = session.scalars(select(Mail.id).where(Mail.user_id == user.id, Mail.kind == mails.Kind.RESET)).all()
    assert len(queued) == account_links.RESETS_OF_ACCOUNT
    others = [somebody() for _ in range(3)]
    for number in range(account_links.RESETS_FROM_ADDRESS):
        account_links.request_reset(f"guess{number}@example.com", address=f"2001:db8:9:9::{number:x}")
    account_links.request_reset(others[0].email, address="2001:db8:9:9:1::")
    with reading() as session:
        assert session.scalar(select(Mail).where(Mail.user_id == others[0].id, Mail.kind == mails.Kind.RESET)) is None


def test_nobody_forges_the_address_that_is_counted(site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reaches `up` without a proxy is on this machine, and could name another address for each try."""

    def web_command() -> list[str]:
        settings.settings.cache_clear()
        return Machine(folder, 1, Reservation(2), Connection(site.url, folder, server=None)).parts()[0].command

    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    assert "--no-proxy-headers" in web_command()
    monkeypatch.setenv("APPOINTMENT360_PUBLIC_URL", "https://people.example")
    assert "--no-proxy-headers" not in web_command()
    monkeypatch.undo()
    settings.settings.cache_clear()


def test_an_address_that_is_none_breaks_nothing(web: str) -> None:
    for told in ("'; DROP TABLE users; --", "x" * 5000, "é\x7f", "2001:db8::1%eth0", "::ffff:10.0.0.1", "<b>"):
        sent = {"x-forwarded-for": told.encode("latin-1")}
        headers = {**sent, "origin": web, "content-type": "application/json"}
        ticket = sign_ins.check_password(somebody().email, PASSWORD, address=None).ticket
        answer = httpx.post(f"{web}/auth/session", content=json.dumps({"ticket": ticket}), headers=headers)
        assert answer.status_code in (204, 400), told  # the latter from what reads requests


# More than one may


def test_an_actor_whose_role_is_gone_does_nothing_that_lasts(site: Site) -> None:
    """Screens ask who acts once for a run: within one, an administrator may have ceased to be one."""
    stale, victim = somebody(Role.ADMIN), somebody()
    by = stale.actor()
    users.change(stale.email, users.Changes(role=Role.ANALYST), by=OPERATOR)
    email, new = victim.email, f"new{next(_numbers)}@example.com"
    deeds: list[Callable[[], Any]] = [
        lambda: users.invite(email=new, name="New", role=Role.ADMIN, by=by),
        lambda: users.change(stale.email, users.Changes(role=Role.ADMIN), by=by),
        lambda: users.deactivate(email, by=by),
        lambda: users.new_link(email, by=by),
        lambda: sign_ins.end_all(email, by=by),
        lambda: second_factors.reset(email, by=by),
        lambda: role_rules.require_second_factor(Role.ANALYST, True, by=by),
        lambda: credits.grant(stale.email, 1000, by=by),
    ]
    for deed in deeds:
        with pytest.raises(NotAllowed, match="any more"):
            deed()
    forged = replace(somebody().actor(), id=victim.id, role=Role.ADMIN)  # a role that the database does not know of
    with pytest.raises(NotAllowed, match="any more"):
        users.change(victim.email, users.Changes(role=Role.ADMIN), by=forged)


def test_ids_of_others_are_nobodys(web: str, site: Site, tmp_path: Path) -> None:
    owner, other = (somebody(Role.MANAGER, download_limit=None) for _ in range(2))
    file = tmp_path / "made.csv"
    file.write_text("Title\nHead of IT\n")
    made = exports.request(filters=Filters(), columns=["title"], format="csv", by=owner.actor())
    with writing(OPERATOR) as session:
        done = {"state": exports.State.DONE, "path": str(file), "rows": 1}
        session.execute(update(exports.Export).where(exports.Export.id == made).values(done))
    with httpx.Client(base_url=web, headers={"origin": web}) as client:
        client.cookies.set("session", cookie_of(web, owner))
        asked = {"name": "leads.csv", "size": 10, "modified": 1}
        upload = client.post("/imports/uploads", json=asked).json()["import_id"]
        client.cookies.clear()
        client.cookies.set("session", cookie_of(web, other))
        assert client.get(f"/exports/{made}/file").status_code == 404
        assert client.get(f"/imports/{upload}/upload").status_code == 404
        assert client.put(f"/imports/{upload}/upload?offset=0", content=b"x").status_code == 404
        assert client.post(f"/imports/{upload}/upload/complete").status_code == 404
        assert client.get("/audit/log.csv").status_code == 403
    for operation in (exports.get, exports.cancel, exports.again):
        with pytest.raises(NotFound):
            operation(made, by=other.actor())
    token = sign_ins.redeem_ticket(sign_ins.issue_ticket(owner.actor()), address=None, device=None)
    mine = sign_ins.actor_of(token)
    assert mine
    assert mine.session_id
    with pytest.raises(NotFound):
        sign_ins.end(mine.session_id, by=other.actor())
    assert sign_ins.actor_of(token)
    preferences.put("page size", 50, by=owner.actor())
    assert preferences.get("page size", by=other.actor()) is None
    for ask in (credits.balance, credits.entries):
        with pytest.raises(NotAllowed):
            ask(of=owner.id, by=other.actor())


HIDDEN = "brightstone"  # a word of hidden e-mails and companies


@pytest.mark.parametrize(
    "query",
    ["email.contains=brightstone", "sort=email", "sort=-email", "columns=email", "company.starts=Bright", "by=company",
     "or1.email.contains=brightstone&or2.title=VP+Sales", "email.empty=", "q=brightstone", "page=2&sort=company"],
)  # fmt: skip
def test_a_hidden_column_stays_hidden_whatever_the_address_asks(web: str, site: Site, query: str) -> None:
    told = b""
    with tab(web, f"session={site.token(Role.ANALYST)}") as one:
        for place in ("contacts", "", "exports"):
            told += one.run(place, query)
    asked_for = query.count(HIDDEN)
    shown = told.lower().count(b"@brightstone") + told.lower().count(b"brightstone ltd")
    assert shown == 0
    assert asked_for or HIDDEN.encode() not in told.lower()


# Names, paths and sizes


def test_paths_and_names_lead_nowhere(web: str, site: Site) -> None:
    roads = ["/app/static/../server.py", "/app/static/..%2fserver.py", "/app/static/%2e%2e/server.py",
             "/static/..%2f..%2f..%2fetc/passwd", "/component/..%2f..%2fetc/passwd",
             "/_stcore/bidi-components/..%2f..%2f..%2fetc/passwd", "/_stcore/bidi-components/x/..%2f..%2fserver.py",
             "/exports/1%2f..%2f2/file", "/imports/1/..%2f..%2fetc%2fpasswd", "/media/..%2f..%2fetc/passwd",
             "/app/static/..%5cserver.py", "/app/static//etc/passwd", "/app/static/%00"]  # fmt: skip
    with httpx.Client(base_url=web, cookies={"session": site.token(Role.ADMIN)}, headers={"origin": web}) as client:
        for road in roads:
            answer = client.get(httpx.URL(web).copy_with(raw_path=road.encode()))
            assert answer.status_code < 500
            assert b"root:" not in answer.content, road
            assert b"ASGI application" not in answer.content, road
        for name in ("../../etc/cron.d/x", "a\r\nset-cookie: session=x.csv", "..\\..\\x.csv", "\0.csv", "…" * 500, "."):
            begun = client.post("/imports/uploads", json={"name": name, "size": 3, "modified": next(_numbers)}).json()
            assert not set(begun["name"]) & set("/\\\r\n\0")
            assert len(begun["name"].encode()) <= 200


def test_large_bodies_and_cookies_are_refused(web: str, site: Site) -> None:
    with httpx.Client(base_url=web, headers={"origin": web}, timeout=60) as client:
        kind = {"content-type": "application/json"}
        assert client.post("/auth/session", content=b"[" * 1_000_000, headers=kind).status_code == 400
        signed_in = {**kind, "cookie": f"session={site.token(Role.ADMIN)}"}
        assert client.post("/imports/uploads", content=b"[" * 1_000_000, headers=signed_in).status_code == 400
        assert client.post("/imports/uploads", content=b"[" * 16_000, headers=signed_in).status_code == 400
        assert client.post("/auth/session", content=b"[" * 4000, headers=kind).status_code == 400
        assert client.get("/media/none", headers={"cookie": f"session={'x' * 60_000}"}).status_code in (400, 401, 431)


@pytest.mark.parametrize("line", [b"x-header: many\r\n" * 500, b"y" * 8000])
def test_headers_without_end_are_cut_off(web: str, line: bytes) -> None:
    url = httpx.URL(web)
    with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx-long: ")
        sent = 0
        with suppress(ConnectionError):
            while sent < 50_000_000:
                connection.sendall(line)
                sent += len(line)
        assert sent < 50_000_000
    filters = "&".join(f"company={'x' * 90}{number}" for number in range(600))
    assert httpx.get(f"{web}/contacts?{filters}").status_code == 200, "a long filter is no attack"


def test_no_address_leads_to_another_site(web: str) -> None:
    roads = [
        "//elsewhere.example", "//elsewhere.example/..", "//elsewhere.example/%2e%2e/", "/\\elsewhere.example/",
        "/contacts/?next=//elsewhere.example", "/?next=https://elsewhere.example", "//elsewhere.example/static/",
        "/app/static//elsewhere.example/", "/exports//elsewhere.example/",
    ]  # fmt: skip
    for road in roads:
        answer = httpx.get(httpx.URL(web).copy_with(raw_path=road.encode()))
        leads_to = httpx.URL(f"{web}{road}").join(answer.headers.get("location", ""))
        assert leads_to.host == "localhost", road


# What people are called


EVIL = '=HYPERLINK("https://elsewhere.example")<img src=x onerror=alert(1)>[x](javascript:1) $x$ :red[x] \'; --'


def test_a_name_is_text_wherever_it_stands(web: str, site: Site, folder: Path) -> None:
    invited = users.invite(email="evil@example.com", name=EVIL, role=Role.MANAGER, by=OPERATOR).user
    account_links.accept(link_of(invited), PASSWORD, address=None)
    by = users.find(invited.email, by=OPERATOR).actor()
    assert by.name == EVIL
    profile.rename(f"{EVIL}\r\nBcc: all@example.com\0\u2028x", by=by)
    stored = profile.get(by=by).name
    assert stored.startswith("=HYPERLINK")
    assert stored.isprintable()
    for bad in (
        "a@example.com\r\nBcc: x@example.com",
        "a@example.com,b@example.com",
        "a@b@example.com",
        "<a@x>\n@e.com",
    ):
        with pytest.raises(AppError):
            users.invite(email=bad, name="x", role=Role.ANALYST, by=OPERATOR)
    with httpx.Client(base_url=web, cookies={"session": site.token(Role.ADMIN)}) as client:
        lines = list(csv.reader(client.get("/audit/log.csv?who=evil@example.com").text.splitlines()))
    assert len(lines) > 1
    assert not [cell for line in lines for cell in line if cell[:1] in tuple("=+-@\t\r")]
    with tab(web, f"session={site.token(Role.ADMIN)}") as one:
        one.run("users", "q=HYPERLINK")
        drawn = [element for element in one.elements if element.WhichOneof("type") in ("markdown", "html")]
    assert not [element for element in drawn if b"<img src=x" in element.SerializeToString()]
    with writing(OPERATOR) as session:
        session.execute(update(Mail).values(next_try_at=text("now() - interval '1 minute'")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPOINTMENT360_HOME", str(folder / "post"))
        settings.settings.cache_clear()
        users.new_link(invited.email, by=OPERATOR)
        mails.deliver()
        for file in mails.outbox().glob("*.eml"):
            message = message_from_bytes(file.read_bytes(), policy=policy.default)
            assert not message["Bcc"]
            assert len(message["To"].addresses) == 1
            assert file.stat().st_mode & 0o077 == 0
    settings.settings.cache_clear()


# Streamlit's own doors


def test_streamlits_menu_is_not_for_visitors(web: str) -> None:
    """Its messages empty everybody's caches, list the files of the server's checkout and write to its disk."""
    with tab(web) as one:
        one.run()
        one.submit("Forgot the password?")
        told = [BackMsg(load_git_info=True), BackMsg(clear_cache=True), BackMsg(set_run_on_save=True),
                BackMsg(debug_shutdown_runtime=True), BackMsg(debug_disconnect_websocket=True)]  # fmt: skip
        written = BackMsg()
        written.backend_operation_request.session_id = one.session_id
        for operation in ("dismiss_skills_nudge", "install_skills"):
            getattr(written.backend_operation_request, operation).SetInParent()
            told.append(BackMsg.FromString(written.SerializeToString()))
        for message in told:
            one.tell(message)
        assert b"Send the link" in one.run(), "the tab knows what it knew: nothing was emptied"
    assert not one.kinds & {"git_info_changed", "backend_operation_response"}
    assert httpx.get(f"{web}/healthz").status_code == 200


def test_streamlits_routes_and_other_peoples_sessions(web: str, site: Site) -> None:
    analyst, admin = site.token(Role.ANALYST), site.token(Role.ADMIN)
    with tab(web, f"session={admin}") as one:
        assert b"What a role may do" in one.run("users")
        theirs = one.session_id
        upload = f"{web}/_stcore/upload_file/{theirs}/file"
        for cookie, status in (("", 401), (f"session={analyst}", 404)):
            sent = httpx.put(upload, content=b"x" * 1000, headers={"origin": web, "cookie": cookie})
            assert sent.status_code == status
    with tab(web, f"session={analyst}", reconnect=theirs) as one:  # a tab of somebody else comes back with this cookie
        told = one.run("users")
        assert one.session_id == theirs, "Streamlit goes on with it"
        assert b"What a role may do" not in told
        assert b"An analyst" in told
    for path in ("metrics", "%6detrics", "agent/mcp", "script-health-check", "message", "../_stcore/metrics"):
        answer = httpx.get(httpx.URL(web).copy_with(raw_path=f"/_stcore/{path}".encode()))
        assert answer.status_code == 404, path
    for path in ("/%6dedia/x.png", "/media/x.png", "/%5fstcore/upload_file/a/b"):
        assert httpx.get(httpx.URL(web).copy_with(raw_path=path.encode())).status_code == 401, path


def test_a_tab_that_comes_back_as_somebody_else_remembers_nothing(
    screen: Callable[..., AppTest], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = screen(Role.ADMIN, at="profile")
    test.session_state["recovery codes"] = ["AAAA-BBBB-CCCC"]
    assert "recovery codes" in test.run().session_state
    monkeypatch.setattr(session, "cookie_token", lambda: site.token(Role.ANALYST))
    assert "recovery codes" not in test.run().session_state


# Traces


def test_a_download_in_parts_is_noted(web: str, tmp_path: Path) -> None:
    owner = somebody(download_limit=None)
    file = tmp_path / "contacts.csv"
    file.write_text("Title\n" * 1000)
    roads = ["bytes=1-", "bytes=00-", "bytes=-5999", "bytes=1-5999,0-0", "bytes= 0-", "BYTES=0-"]
    for number, asked in enumerate(roads):
        made = exports.request(filters=Filters(), columns=["title"], format="csv", by=owner.actor())
        with writing(OPERATOR) as session:
            done = {"state": exports.State.DONE, "path": str(file), "rows": 1000}
            session.execute(update(exports.Export).where(exports.Export.id == made).values(done))
        headers = {"cookie": f"session={cookie_of(web, owner)}", "range": asked}
        taken = httpx.get(f"{web}/exports/{made}/file", headers=headers)
        httpx.get(f"{web}/exports/{made}/file", headers={**headers, "range": "bytes=3000-"})
        with reading() as session:
            lines = select(AuditLine.id).where(AuditLine.subject == f"export {made}")
            noted = session.scalars(lines.where(AuditLine.event == Event.EXPORT_DOWNLOADED)).all()
        assert len(noted) == 1, (number, asked, taken.status_code)


def test_nothing_secret_is_logged(web: str, site: Site, folder: Path) -> None:
    user, secret, codes = with_factor()
    link, cookie = link_of(user, Purpose.RESET), site.token(Role.ADMIN)
    httpx.get(f"{web}/?link={link}")
    httpx.get(f"{web}/contacts?q=somebodys.address")
    with tab(web) as one:
        one.run("", f"link={link}")
        one.submit("Save and sign in", **{"New password": NEW})
        one.submit("Continue", Code=codes[0])
    redeem(web, "no ticket", cookie=f"session={cookie}")
    failing = {"user_id": 0, "secret": secret}  # there is no such person
    with pytest.raises(Exception, match="violates") as failed, writing(OPERATOR) as session:
        session.execute(text("INSERT INTO second_factors (user_id, secret) VALUES (:user_id, :secret)"), failing)
    log = (folder / "web.log").read_text()
    with reading() as session:
        kept = session.scalars(text("SELECT t::text FROM audit_log t UNION ALL SELECT t::text FROM mails t")).all()
        hashes = session.scalars(select(User.password_hash).where(User.password_hash.is_not(None))).all()
        tables = session.scalars(
            text("""SELECT t::text FROM account_links t UNION ALL SELECT t::text FROM sign_in_sessions t
                UNION ALL SELECT t::text FROM sign_in_tickets t UNION ALL SELECT t::text FROM recovery_codes t""")
        ).all()
    told = {"log": log, "audit": "\n".join(kept), "error": str(failed.value), "tables": "\n".join(tables)}
    for place, words in told.items():
        for word in (link, cookie, NEW, PASSWORD, *codes, *(code.replace("-", "") for code in codes)):
            assert word not in words, place
        assert secret not in words, place
        if place != "tables":
            assert not [one for one in hashes if one in words], place
    assert "somebodys.address" not in log


def test_queries_stay_out_of_what_the_server_logs() -> None:
    """At this level it logs no requests, but a setting would turn that on."""
    importlib.import_module("dashboard.server")
    line = '%s - "%s %s HTTP/%s" %d', ("127.0.0.1:5", "GET", "/?link=token", "1.1", 200)
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, *line, None)
    assert access_log.WithoutQuery().filter(record)
    assert record.getMessage() == '127.0.0.1:5 - "GET / HTTP/1.1" 200'
    for name in ("uvicorn.access", "uvicorn.error"):
        assert [one for one in logging.getLogger(name).filters if isinstance(one, access_log.WithoutQuery)]


def test_an_error_shows_nothing_of_the_inside(web: str, site: Site) -> None:
    cookie = site.token(Role.ADMIN)
    roads = [
        "/audit/log.csv?who=%00", "/audit/log.csv?since=9999-99-99", "/audit/log.csv?q=%ff%00",
        "/exports/999999999999/file", "/imports/0/rejects.csv", "/imports/uploads", "/api/v1/none",
    ]  # fmt: skip
    screens = [
        ("contacts", "q=%00"), ("contact", "id=%00"), ("users", "q=%00&status=x"), ("audit", "q=%00"),
        ("exports", "page=99999999999"), ("contacts", "sort=%00"), ("imports", "id=-1"),
    ]  # fmt: skip
    for road in roads:
        answer = httpx.get(f"{web}{road}", headers={"cookie": f"session={cookie}"})
        assert answer.status_code < 500, road
        assert "Traceback" not in answer.text
    with tab(web, f"session={cookie}") as one:
        for place, query in screens:
            told = one.run(place, query)
            assert b"Traceback" not in told
            assert b"psycopg" not in told
            assert b"Something went wrong" not in told, (place, query)
