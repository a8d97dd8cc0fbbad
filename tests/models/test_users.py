import threading
from collections.abc import Callable

import pytest
from alembic import command
from sqlalchemy import NullPool, create_engine, select, text

from deploy.embedded_postgres import Server
from models import account_links, database, migrations, passwords, second_factors, sign_ins, users
from models.audit import AuditLine, Event
from models.database import reading, sqlalchemy_url
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound
from models.permissions import OPERATOR, Actor, Role
from models.users import Changes, Status
from tests import people

ANALYST = Actor(5, "An analyst", Role.ANALYST)


@pytest.fixture
def ann(db: str) -> users.User:
    return people.person(email="Ann@Example.com", name="Ann", role=Role.ADMIN)


def signed_in(user: users.User) -> str:
    return sign_ins.redeem_ticket(sign_ins.issue_ticket(user.actor()), address="10.0.0.1", device="a browser")


def test_an_address_is_one_account_in_any_spelling(ann: users.User, operator: Actor) -> None:
    assert ann.email == "ann@example.com"
    for spelling in (
        "ANN@example.COM",
        " ann@example.com ",
        "ａｎｎ@ｅｘａｍｐｌｅ.com",
        "Ann Again <ann@example.com>",
    ):
        with pytest.raises(Conflict, match=r"ann@example\.com already"):
            users.invite(email=spelling, name="Ann again", role=Role.ANALYST, by=operator)
        assert users.find(spelling, by=operator).id == ann.id
        assert sign_ins.check_password(spelling, people.PASSWORD, address=None).needs is None


def test_a_domain_is_one_in_both_its_spellings(db: str, operator: Actor) -> None:
    user = people.person(email="ann@Müller.de", name="Ann", role=Role.ANALYST)
    assert user.email == "ann@xn--mller-kva.de"
    assert users.find("ann@xn--mller-kva.de", by=operator).id == users.find("ann@müller.de", by=operator).id == user.id


@pytest.mark.parametrize("alike", ["аnn@example.com", "ann\u200b@example.com", "añn@example.com", "ıan@example.com"])
def test_letters_that_look_like_others_make_no_account(ann: users.User, operator: Actor, alike: str) -> None:
    with pytest.raises(InvalidInput, match=r"before the @|not an e-mail address"):
        users.invite(email=alike, name="Not Ann", role=Role.ANALYST, by=operator)
    with pytest.raises(NotFound):
        users.find(alike, by=operator)
    with pytest.raises(sign_ins.SignInRefused, match="do not match"):
        sign_ins.check_password(alike, people.PASSWORD, address=None)


@pytest.mark.parametrize("strange", ["ann\0@example.com", "ann\ud83d@example.com", "", "x" * 10_000 + "@example.com"])
def test_what_no_database_takes_is_no_address(ann: users.User, operator: Actor, strange: str) -> None:
    with pytest.raises(InvalidInput, match="is not an e-mail address"):
        users.invite(email=strange, name="Not Ann", role=Role.ANALYST, by=operator)
    with pytest.raises(sign_ins.SignInRefused):
        sign_ins.check_password(strange, "wrong", address=None)


def test_the_first_administrator_is_made_once_without_a_limit(db: str) -> None:
    first = users.first_administrator(email="root@example.com", password=None)
    assert first is not None
    user, password = first
    assert passwords.matches(password, user.password_hash)
    assert user.download_limit is None
    assert users.first_administrator(email="other@example.com", password="x") is None


def test_the_password_of_the_first_administrator_must_be_good(db: str) -> None:
    with pytest.raises(InvalidInput, match="among the first that are guessed"):
        users.first_administrator(email="root@example.com", password="password1234")
    assert users.first_administrator(email="root@example.com", password=people.PASSWORD) is not None


def test_the_last_administrator_cannot_be_lost(ann: users.User, operator: Actor) -> None:
    users.invite(email="bob@example.com", name="Bob", role=Role.ADMIN, by=operator)  # who cannot sign in yet
    for changes in (Changes(is_active=False), Changes(role=Role.ANALYST)):
        with pytest.raises(Conflict, match="last active administrator"):
            users.change(ann.email, changes, by=operator)
    assert users.find(ann.email, by=operator).role == Role.ADMIN


def test_an_invited_administrator_is_kept_where_there_is_no_other(db: str, operator: Actor) -> None:
    users.invite(email="bob@example.com", name="Bob", role=Role.ADMIN, by=operator)
    with pytest.raises(Conflict, match="last active administrator"):
        users.deactivate("bob@example.com", by=operator)


def test_two_administrators_who_demote_each_other_leave_one(ann: users.User) -> None:
    bob = people.person(email="bob@example.com", name="Bob", role=Role.ADMIN)
    people.person(email="cid@example.com", name="Cid", role=Role.ADMIN)
    refused: list[NotAllowed] = []

    def demote(whom: users.User, by: users.User) -> Callable[[], None]:
        actor = by.actor()

        def run() -> None:
            try:
                users.change(whom.email, Changes(role=Role.ANALYST), by=actor)
            except NotAllowed as error:
                refused.append(error)

        return run

    threads = [threading.Thread(target=demote(*pair)) for pair in ((ann, bob), (bob, ann))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    roles = [users.find(one.email, by=OPERATOR).role for one in (ann, bob)]
    assert sorted(roles) == [Role.ADMIN, Role.ANALYST]
    assert [error.sentence for error in refused] == [
        "You may not manage users any more: your account was changed meanwhile."
    ]


def test_only_administrators_manage_people(ann: users.User) -> None:
    for operation in (
        lambda: users.invite(email="b@example.com", name="B", role=Role.ADMIN, by=ANALYST),
        lambda: users.change(ann.email, Changes(name="B"), by=ANALYST),
        lambda: users.new_link(ann.email, by=ANALYST),
        lambda: users.everyone(by=ANALYST),
        lambda: users.find(ann.email, by=ANALYST),
        lambda: users.person(ann.email, by=ANALYST),
        lambda: users.deactivate(ann.email, by=ANALYST),
        lambda: users.reactivate(ann.email, by=ANALYST),
    ):
        with pytest.raises(NotAllowed, match="You may not manage users: that needs the role admin"):
            operation()


def test_what_cannot_be_is_named(db: str, operator: Actor) -> None:
    def invite(**given: object) -> None:
        fitting = {"email": "b@example.com", "name": "B", "role": Role.ANALYST, "by": operator}
        users.invite(**(fitting | given))  # type: ignore[arg-type]

    with pytest.raises(InvalidInput, match="Unknown column salary"):
        invite(column_allowed=("person", "salary"))
    with pytest.raises(InvalidInput, match=r"Unknown column emial\. Did you mean email\? Groups are: person, reach, "):
        invite(column_allowed=("emial",))
    with pytest.raises(InvalidInput, match="“not an address” is not an e-mail"):
        invite(email="not an address")
    with pytest.raises(InvalidInput, match="The name is empty"):
        invite(name=" \n ")
    with pytest.raises(InvalidInput, match="The download limit is -1"):
        invite(download_limit=-1)
    with pytest.raises(InvalidInput, match="The download limit is 3,000,000,000"):
        invite(download_limit=3_000_000_000)
    assert users.everyone(by=operator) == []


def test_a_name_is_one_line(db: str, operator: Actor) -> None:
    invited = users.invite(email="b@example.com", name="Bob\r\nBcc: x@example.com", role=Role.ANALYST, by=operator)
    assert invited.user.name == "Bob Bcc: x@example.com"


def test_an_invitation_is_accepted_with_the_link_that_was_handed_over(db: str, operator: Actor) -> None:
    invited = users.invite(email="b@example.com", name="Bea", role=Role.MANAGER, download_limit=None, by=operator)
    assert invited.link is not None
    address, token = invited.link.split("/?link=")
    assert address == "http://127.0.0.1:8360"
    assert users.person("b@example.com", by=operator).status == Status.INVITED
    assert account_links.accept(token, people.PASSWORD, address=None).id == invited.user.id
    bea = users.person("b@example.com", by=operator)
    assert (bea.status, bea.download_limit, bea.role) == (Status.ACTIVE, None, Role.MANAGER)


def test_a_new_link_ends_those_before(db: str, operator: Actor) -> None:
    first = users.invite(email="b@example.com", name="Bea", role=Role.MANAGER, by=operator).link
    second = users.new_link("b@example.com", by=operator)
    assert first is not None
    assert second is not None
    with pytest.raises(account_links.LinkRefused):
        account_links.look(first.split("=")[1])
    account_links.accept(second.split("=")[1], people.PASSWORD, address=None)
    reset = users.new_link("b@example.com", by=operator)
    assert reset is not None
    assert account_links.look(reset.split("=")[1]).purpose == account_links.Purpose.RESET
    users.deactivate("b@example.com", by=operator)
    with pytest.raises(Conflict, match="Reactivate the account first"):
        users.new_link("b@example.com", by=operator)


def test_deactivating_ends_sessions_tickets_and_links_at_once(ann: users.User, operator: Actor) -> None:
    bob = people.person(email="bob@example.com", name="Bob", role=Role.ANALYST)
    token, ticket, link = signed_in(bob), sign_ins.issue_ticket(bob.actor()), users.new_link(bob.email, by=operator)
    users.deactivate(bob.email, by=operator)
    assert link is not None
    users.reactivate(bob.email, by=operator)  # what ended stays ended
    assert sign_ins.actor_of(token) is None
    with pytest.raises(sign_ins.SignInRefused):
        sign_ins.redeem_ticket(ticket, address=None, device=None)
    with pytest.raises(account_links.LinkRefused):
        account_links.accept(link.split("=")[1], people.PASSWORD, address=None)
    assert sign_ins.check_password(bob.email, people.PASSWORD, address=None).needs is None


def test_a_change_counts_at_once_for_who_is_signed_in(ann: users.User, operator: Actor) -> None:
    bob = people.person(email="bob@example.com", name="Bob", role=Role.ANALYST)
    token = signed_in(bob)
    users.change(bob.email, Changes(role=Role.MANAGER, column_allowed=("person",), unlimited=True), by=operator)
    actor = sign_ins.actor_of(token)
    assert actor is not None
    assert (actor.role, actor.columns) == (Role.MANAGER, frozenset({"person"}))
    assert users.find(bob.email, by=operator).download_limit is None
    users.change(bob.email, Changes(every_column=True, download_limit=7), by=operator)
    actor = sign_ins.actor_of(token)
    assert actor is not None
    assert actor.columns is None
    assert users.find(bob.email, by=operator).download_limit == 7


def test_the_list_finds_by_part_and_status(ann: users.User, operator: Actor) -> None:
    people.person(email="bob@example.com", name="Bob 100% Ok", role=Role.ANALYST, download_limit=3)
    users.invite(email="cid@example.org", name="Cid", role=Role.MANAGER, column_allowed=("person",), by=operator)
    users.deactivate("bob@example.com", by=operator)
    signed_in(ann)

    def found(search: str = "", status: Status | None = None) -> list[str]:
        return [one.name for one in users.everyone(by=operator, search=search, status=status)]

    assert found() == ["Ann", "Bob 100% Ok", "Cid"]
    assert found("EXAMPLE.ORG") == ["Cid"]
    assert found("100%") == ["Bob 100% Ok"]
    assert found("%") == ["Bob 100% Ok"]
    assert found("_") == []
    assert found("\0\ud83d") == []
    assert [found(status=status) for status in Status] == [["Ann"], ["Cid"], ["Bob 100% Ok"]]
    first, second, third = users.everyone(by=operator)
    assert (first.last_seen_at is None, second.last_seen_at, third.column_allowed) == (False, None, ("person",))
    assert (second.download_limit, second.second_factor) == (3, False)


def test_the_list_tells_who_has_a_second_factor(ann: users.User, operator: Actor) -> None:
    second_factors.begin(by=ann.actor())
    assert not users.person(ann.email, by=operator).second_factor, "it is not confirmed yet"


def test_the_audit_log_tells_before_and_after(ann: users.User, operator: Actor) -> None:
    people.person(email="bob@example.com", name="Bob", role=Role.ANALYST)
    users.change("bob@example.com", Changes(role=Role.MANAGER), by=ann.actor())
    users.deactivate("bob@example.com", by=operator)
    users.reactivate("bob@example.com", by=operator)
    with reading() as session:
        about = AuditLine.subject == "user bob@example.com"
        lines = session.scalars(select(AuditLine).where(about).order_by(AuditLine.id)).all()
    assert [line.event for line in lines] == [
        Event.USER_INVITED, Event.INVITATION_ACCEPTED, Event.USER_CHANGED, Event.USER_DEACTIVATED,
        Event.USER_REACTIVATED,
    ]  # fmt: skip
    changed = lines[2]
    assert changed.details is not None
    assert (changed.details["before"]["role"], changed.details["after"]["role"]) == ("analyst", "manager")
    assert (changed.actor_id, changed.actor_name) == (ann.id, "Ann")


def test_who_had_another_spelling_of_a_domain_is_still_found(postgres: Server) -> None:
    postgres.ensure_database("before_people")
    url = postgres.url("before_people")
    before = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    with before.begin() as connection:
        config = migrations.config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        old = "INSERT INTO users (name, email, role, password_hash) VALUES ('Ann', :email, 'analyst', 'x')"
        for email in ("ann@müller.de", "zoë@müller.de", "bob@example.com"):
            connection.execute(text(old), {"email": email})
    migrations.upgrade(url)
    database.bind(url)
    for email in ("ann@müller.de", "ann@xn--mller-kva.de", "zoë@müller.de", "bob@example.com"):
        assert users.find(email, by=OPERATOR).name == "Ann"
    database.engine().dispose()
