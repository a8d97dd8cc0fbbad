import pytest
from sqlalchemy import select

from models import account_links, profile, role_rules, sign_ins, users
from models.audit import AuditLine, Event
from models.database import reading
from models.errors import InvalidInput, NotAllowed, TooMany
from models.link_tokens import Purpose
from models.mails import Mail
from models.permissions import OPERATOR, Actor, Role
from models.sign_in_failures import SignInRefused
from tests import people
from tests.people import PASSWORD, link_of

OTHER = "staple orange lantern"


@pytest.fixture
def ann(db: str) -> users.User:
    return people.person(
        email="ann@example.com", name="Ann", role=Role.ANALYST, download_limit=7, column_allowed=("person",)
    )


def signed_in(user: users.User) -> str:
    return sign_ins.redeem_ticket(sign_ins.issue_ticket(user.actor()), address="10.0.0.1", device=None)


def actor(token: str) -> Actor:
    found = sign_ins.actor_of(token)
    assert found is not None
    return found


def test_what_a_person_reads_of_themselves(ann: users.User) -> None:
    assert profile.get(by=ann.actor()) == profile.Profile(
        "Ann", "ann@example.com", Role.ANALYST, 7, ("person",), second_factor=False, second_factor_required=False
    )
    role_rules.require_second_factor(Role.ANALYST, True, by=OPERATOR)
    assert profile.get(by=ann.actor()).second_factor_required


def test_a_new_name_counts_at_once(ann: users.User) -> None:
    token = signed_in(ann)
    profile.rename("  Ann\tOkafor ", by=ann.actor())
    assert actor(token).name == "Ann Okafor"
    for wrong in ("", " \u3000", "x" * 201):
        with pytest.raises(InvalidInput, match="The name"):
            profile.rename(wrong, by=ann.actor())
    with reading() as session:
        [details] = session.scalars(select(AuditLine.details).where(AuditLine.event == Event.USER_CHANGED))
    assert details == {"before": {"name": "Ann"}, "after": {"name": "Ann Okafor"}}


def test_a_new_password_keeps_this_session_and_ends_the_others(ann: users.User) -> None:
    this, other, ticket, reset = (
        signed_in(ann),
        signed_in(ann),
        sign_ins.issue_ticket(ann.actor()),
        link_of(ann, Purpose.RESET),
    )
    profile.change_password(PASSWORD, OTHER, by=actor(this), token=this)
    assert sign_ins.actor_of(this) is not None
    assert sign_ins.actor_of(other) is None
    with pytest.raises(SignInRefused):
        sign_ins.redeem_ticket(ticket, address=None, device=None)
    with pytest.raises(account_links.LinkRefused):
        account_links.accept(reset, PASSWORD, address=None)
    with pytest.raises(SignInRefused):
        sign_ins.check_password(ann.email, PASSWORD, address=None)
    assert sign_ins.check_password(ann.email, OTHER, address=None).needs is None
    with reading() as session:
        assert "password changed" in session.scalars(select(Mail.kind)).all()
        [details] = session.scalars(select(AuditLine.details).where(AuditLine.event == Event.PASSWORD_CHANGED))
    assert details == {"road": "profile", "sessions_ended": 1}


@pytest.mark.parametrize("new", ["short", "", " " * 20, "ann likes tea very much", "password1234"])
def test_a_weak_one_is_refused_and_changes_nothing(ann: users.User, new: str) -> None:
    other = signed_in(ann)
    with pytest.raises(InvalidInput, match="The password"):
        profile.change_password(PASSWORD, new, by=ann.actor(), token=None)
    assert sign_ins.actor_of(other) is not None
    assert sign_ins.check_password(ann.email, PASSWORD, address=None).needs is None


def test_who_stole_a_session_cannot_try_every_password(ann: users.User) -> None:
    token = signed_in(ann)
    answers = []
    for _ in range(5):
        with pytest.raises(SignInRefused) as refused:
            profile.change_password("wrong", OTHER, by=actor(token), token=token)
        answers.append(refused.value.sentence)
    assert answers[0] == "That is not your current password. 4 tries left before a pause of 1 min."
    assert answers[-1] == "That is not your current password. Try again in 1 min."
    for again in (
        lambda: profile.change_password(PASSWORD, OTHER, by=actor(token), token=token),
        lambda: profile.ask_email_change("new@example.com", PASSWORD, by=actor(token)),
        lambda: sign_ins.check_password(ann.email, PASSWORD, address=None),
    ):
        with pytest.raises(SignInRefused, match="Too many failed tries"):
            again()


def test_a_new_address_must_be_one_and_another(ann: users.User) -> None:
    for wrong, answer in (
        ("not one", "not an e-mail address"),
        ("аnn@example.com", "before the @"),
        ("ANN@example.com", "is your e-mail already"),
    ):
        with pytest.raises(InvalidInput, match=answer):
            profile.ask_email_change(wrong, PASSWORD, by=ann.actor())


@pytest.mark.parametrize("road", ["profile", "link"])
def test_who_knew_the_old_password_takes_no_other_address_with_it(ann: users.User, road: str) -> None:
    link = link_of(ann, Purpose.EMAIL, "eve@example.com")
    profile.ask_email_change("eve@example.com", PASSWORD, by=ann.actor())  # its message is not sent yet
    if road == "profile":
        profile.change_password(PASSWORD, OTHER, by=ann.actor(), token=None)
    else:
        account_links.accept(link_of(ann, Purpose.RESET), OTHER, address=None)
    with pytest.raises(account_links.LinkRefused):
        account_links.confirm_email(link, address=None)
    with reading() as session:
        assert "email" not in session.scalars(select(Mail.kind)).all()


def test_new_addresses_are_asked_for_only_so_often(ann: users.User) -> None:
    for number in range(profile.CHANGES):
        profile.ask_email_change(f"new{number}@example.com", PASSWORD, by=ann.actor())
    with pytest.raises(TooMany, match=r"Try again in (12 min|11 min \d+ s)\.") as refused:
        profile.ask_email_change("newer@example.com", PASSWORD, by=ann.actor())
    assert 600 < refused.value.seconds <= 720


def test_the_operator_has_no_profile(db: str) -> None:
    for operation in (
        lambda: profile.get(by=OPERATOR),
        lambda: profile.rename("X", by=OPERATOR),
        lambda: profile.change_password("a", "b", by=OPERATOR, token=None),
        lambda: profile.ask_email_change("a@example.com", "b", by=OPERATOR),
        lambda: sign_ins.sessions_of(by=OPERATOR),
        lambda: sign_ins.end(1, by=OPERATOR),
        lambda: sign_ins.end_others(by=OPERATOR, token=None),
    ):
        with pytest.raises(NotAllowed, match="Only a signed-in person"):
            operation()


def test_the_password_of_before_is_no_new_one(ann: users.User) -> None:
    this, other = signed_in(ann), signed_in(ann)
    with pytest.raises(InvalidInput, match="The new password is the one of before"):
        profile.change_password(PASSWORD, PASSWORD, by=actor(this), token=this)
    assert sign_ins.actor_of(other) is not None
