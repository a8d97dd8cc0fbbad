import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import func, select, update

from models import accounts, role_rules, second_factors, secret_tokens, sign_ins, users
from models.audit import AuditLine, Event
from models.database import reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotFound
from models.mails import Mail
from models.permissions import OPERATOR, Actor, Role
from models.second_factors import ALPHABET, STEP, RecoveryCode, SecondFactor
from models.sign_in_failures import SignInFailure, SignInRefused
from models.sign_in_sessions import SignInTicket
from tests import people
from tests.people import PASSWORD


@pytest.fixture
def root(db: str) -> Actor:
    return people.person(email="root@example.com", name="Root", role=Role.ADMIN).actor()


@pytest.fixture
def ann(root: Actor) -> users.User:
    return people.person(email="ann@example.com", name="Ann", role=Role.ANALYST)


def now() -> int:
    """The step of the database's clock."""
    with reading() as session:
        return int(session.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0) // STEP


def code(secret: str, steps: int = 0) -> str:
    return pyotp.HOTP(secret).at(now() + steps)


def forgotten(user: users.User) -> None:
    """As if no code had been used yet: a test cannot wait for the next one."""
    with writing(OPERATOR) as session:
        session.execute(update(SecondFactor).where(SecondFactor.user_id == user.id).values(last_step=0))


def enrolled(user: users.User) -> tuple[str, list[str]]:
    """The secret and the recovery codes of a factor that the person has now."""
    begun = second_factors.begin(by=user.actor())
    codes = second_factors.confirm(code(begun.secret), by=user.actor())
    forgotten(user)
    return begun.secret, codes


def check(user: users.User, typed: str) -> bool:
    with writing(OPERATOR) as session:
        return second_factors.check(session, user.id, typed)


def signed_in(user: users.User) -> str:
    return sign_ins.redeem_ticket(sign_ins.issue_ticket(user.actor()), address=None, device=None)


def events(event: Event) -> list[AuditLine]:
    with reading() as session:
        return list(session.scalars(select(AuditLine).where(AuditLine.event == event)))


def mailed(user: users.User) -> list[str]:
    with reading() as session:
        return list(session.scalars(select(Mail.kind).where(Mail.user_id == user.id).order_by(Mail.id)))


class TestEnrolment:
    def test_the_app_gets_the_secret_by_picture_or_by_hand(self, ann: users.User) -> None:
        begun = second_factors.begin(by=ann.actor())
        parsed = pyotp.parse_uri(begun.uri)
        assert (parsed.secret, parsed.name, parsed.issuer) == (begun.secret, "ann@example.com", "Appointment360")
        assert begun.svg.startswith("<svg")
        assert "#fff" in begun.svg

    def test_it_counts_once_a_code_was_right(self, ann: users.User) -> None:
        begun = second_factors.begin(by=ann.actor())
        assert sign_ins.check_password(ann.email, PASSWORD, address=None).needs is None
        assert not check(ann, code(begun.secret)), "nothing is checked against what is not confirmed"
        with pytest.raises(InvalidInput, match="That code does not match"):
            second_factors.confirm("000000" if code(begun.secret) != "000000" else "111111", by=ann.actor())
        codes = second_factors.confirm(code(begun.secret), by=ann.actor())
        assert len(set(codes)) == 10
        assert second_factors.left(by=ann.actor()) == 10
        assert sign_ins.check_password(ann.email, PASSWORD, address=None).needs == "code"
        assert [line.subject for line in events(Event.SECOND_FACTOR_ADDED)] == ["user ann@example.com"]

    def test_beginning_again_makes_the_first_secret_worthless(self, ann: users.User) -> None:
        first = second_factors.begin(by=ann.actor())
        second = second_factors.begin(by=ann.actor())
        with pytest.raises(InvalidInput):
            second_factors.confirm(code(first.secret), by=ann.actor())
        second_factors.confirm(code(second.secret), by=ann.actor())
        with pytest.raises(Conflict, match="You have a second factor already"):
            second_factors.begin(by=ann.actor())
        with pytest.raises(Conflict, match="Begin again"):
            second_factors.confirm(code(second.secret, 1), by=ann.actor())

    def test_the_operator_has_none(self, db: str) -> None:
        for operation in (second_factors.begin, lambda by: second_factors.confirm("1", by=by)):
            with pytest.raises(NotAllowed, match="Only a signed-in person"):
                operation(by=OPERATOR)


class TestCodes:
    def test_one_step_either_side_and_no_further(self, ann: users.User) -> None:
        secret, _ = enrolled(ann)
        for steps, fits in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
            began = None
            while began != now():  # else the step ended meanwhile
                forgotten(ann)
                began = now()
                found = check(ann, pyotp.HOTP(secret).at(began + steps))
            assert found is fits, steps

    def test_a_code_works_once_and_those_before_it_no_more(self, ann: users.User) -> None:
        secret, _ = enrolled(ann)
        typed = code(secret)
        assert check(ann, typed)
        assert not check(ann, typed)
        assert not check(ann, code(secret, -1))
        assert check(ann, code(secret, 1))

    def test_when_the_clock_went_back_an_old_code_is_still_used_up(self, ann: users.User) -> None:
        secret, codes = enrolled(ann)
        with writing(OPERATOR) as session:  # a code of an hour ahead was taken, before the clock was put right
            session.execute(update(SecondFactor).values(last_step=now() + 3600 // STEP))
        assert not check(ann, code(secret))
        with reading() as session:
            assert session.scalars(select(SecondFactor.last_step)).one() > now() + 100
        assert check(ann, codes[0]), "and there is a way in"

    def test_pythons_clock_does_not_matter(self, ann: users.User, monkeypatch: pytest.MonkeyPatch) -> None:
        secret, _ = enrolled(ann)
        typed = code(secret)
        monkeypatch.setattr(time, "time", lambda: 0.0)
        assert check(ann, typed)

    def test_one_of_many_at_once_gets_in(self, ann: users.User) -> None:
        secret, codes = enrolled(ann)
        for typed in (code(secret), codes[0]):
            taken: list[bool] = []

            def enter(typed: str = typed, taken: list[bool] = taken) -> None:
                taken.append(check(ann, typed))

            threads = [threading.Thread(target=enter) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sum(taken) == 1

    @pytest.mark.parametrize(
        "typed", ["", "12345", "1234567", "abcdef", "१२३४५६", "１２３４５６", "x" * 10_000, "\0" * 6]
    )
    def test_what_is_no_code_is_wrong(self, ann: users.User, typed: str) -> None:
        enrolled(ann)
        assert not check(ann, typed)

    def test_a_code_may_be_typed_with_a_space(self, ann: users.User) -> None:
        secret, _ = enrolled(ann)
        typed = code(secret)
        assert check(ann, f" {typed[:3]} {typed[3:]} ")

    def test_recovery_codes_work_once_each_however_they_are_typed(self, ann: users.User) -> None:
        _, codes = enrolled(ann)
        assert check(ann, codes[0])
        assert not check(ann, codes[0])
        assert check(ann, codes[1].lower().replace("-", " "))
        assert second_factors.left(by=ann.actor()) == 8
        other = people.person(email="bob@example.com", name="Bob", role=Role.ANALYST)
        enrolled(other)
        assert not check(other, codes[2]), "nobody else's"

    def test_neither_is_stored_as_it_is(self, ann: users.User) -> None:
        _, codes = enrolled(ann)
        with reading() as session:
            stored = set(session.scalars(select(RecoveryCode.code_hash)))
        assert not stored & {*codes, *(one.replace("-", "") for one in codes)}

    def test_new_recovery_codes_end_the_old_ones(self, ann: users.User) -> None:
        _, codes = enrolled(ann)
        with pytest.raises(SignInRefused, match="not your current password"):
            second_factors.new_recovery_codes(password="wrong", by=ann.actor())
        fresh = second_factors.new_recovery_codes(password=PASSWORD, by=ann.actor())
        assert not check(ann, codes[0])
        assert check(ann, fresh[0])
        assert len(events(Event.RECOVERY_CODES_MADE)) == 1


def test_a_recovery_code_is_too_long_to_be_guessed_from_its_hash(ann: users.User) -> None:
    _, codes = enrolled(ann)
    for one in codes:
        drawn = one.replace("-", "")
        assert len(ALPHABET) ** len(drawn) >= 2**128
        assert set(drawn) <= set(ALPHABET)


def test_a_short_one_of_before_works_on(ann: users.User) -> None:
    enrolled(ann)
    with writing(OPERATOR) as session:
        session.add(RecoveryCode(user_id=ann.id, code_hash=secret_tokens.hashed("AAAABBBBCCCC")))
    assert check(ann, "aaaa-bbbb-cccc")


class TestRemoval:
    def test_the_person_removes_it_with_the_password(self, ann: users.User) -> None:
        enrolled(ann)
        token = signed_in(ann)
        with pytest.raises(SignInRefused, match="not your current password"):
            second_factors.remove(password="wrong", by=ann.actor())
        second_factors.remove(password=PASSWORD, by=ann.actor())
        assert sign_ins.check_password(ann.email, PASSWORD, address=None).needs is None
        assert sign_ins.actor_of(token) is not None
        assert mailed(ann)[-1] == "second factor removed"
        with pytest.raises(NotFound, match="no second factor"):
            second_factors.remove(password=PASSWORD, by=ann.actor())

    def test_an_administrator_removes_a_lost_one_and_the_person_is_told(self, ann: users.User, root: Actor) -> None:
        enrolled(ann)
        token = signed_in(ann)
        with pytest.raises(NotAllowed, match="You may not manage users"):
            second_factors.reset(ann.email, by=ann.actor())
        second_factors.reset(ann.email, by=root)
        assert sign_ins.actor_of(token) is None
        assert mailed(ann)[-1] == "second factor removed"
        [line] = events(Event.SECOND_FACTOR_REMOVED)
        assert (line.actor_name, line.subject) == ("Root", "user ann@example.com")

    def test_where_the_role_asks_for_one_removing_it_signs_out(self, ann: users.User, root: Actor) -> None:
        enrolled(ann)
        role_rules.require_second_factor(Role.ANALYST, True, by=root)
        token = signed_in(ann)
        second_factors.remove(password=PASSWORD, by=ann.actor())
        assert sign_ins.actor_of(token) is None
        assert sign_ins.check_password(ann.email, PASSWORD, address=None).needs == "enrol"


class TestRoleRules:
    def test_who_has_none_is_signed_out_and_sets_one_up(self, ann: users.User, root: Actor) -> None:
        bob = people.person(email="bob@example.com", name="Bob", role=Role.ANALYST)
        enrolled(bob)
        without, having, other = signed_in(ann), signed_in(bob), signed_in(users.find("root@example.com", by=root))
        late = sign_ins.issue_ticket(ann.actor())
        assert role_rules.require_second_factor(Role.ANALYST, True, by=root) == 1
        assert role_rules.second_factor_required(Role.ANALYST, by=OPERATOR)
        assert not role_rules.second_factor_required(Role.ADMIN, by=OPERATOR)
        assert sign_ins.actor_of(without) is None
        assert sign_ins.actor_of(having) is not None
        assert sign_ins.actor_of(other) is not None
        with pytest.raises(SignInRefused):
            sign_ins.redeem_ticket(late, address=None, device=None)
        with pytest.raises(SignInRefused):  # nor by one that is issued afterwards
            sign_ins.redeem_ticket(sign_ins.issue_ticket(ann.actor()), address=None, device=None)
        [line] = events(Event.ROLE_RULE_CHANGED)
        assert line.details == {"before": {"second_factor": False}, "after": {"second_factor": True}, "signed_out": 1}

    def test_the_rule_may_be_lifted(self, ann: users.User, root: Actor) -> None:
        role_rules.require_second_factor(Role.ANALYST, True, by=root)
        role_rules.require_second_factor(Role.ANALYST, False, by=root)
        assert sign_ins.check_password(ann.email, PASSWORD, address=None).needs is None

    def test_only_who_may_change_settings(self, ann: users.User) -> None:
        with pytest.raises(NotAllowed, match="You may not change settings"):
            role_rules.require_second_factor(Role.ADMIN, False, by=ann.actor())

    def test_who_is_moved_into_such_a_role_is_signed_out(self, ann: users.User, root: Actor) -> None:
        role_rules.require_second_factor(Role.MANAGER, True, by=root)
        token = signed_in(ann)
        users.change(ann.email, users.Changes(role=Role.MANAGER), by=root)
        assert sign_ins.actor_of(token) is None


class TestSigningIn:
    def test_the_password_alone_opens_no_session(self, ann: users.User) -> None:
        secret, codes = enrolled(ann)
        step = sign_ins.check_password(ann.email, PASSWORD, address=None)
        assert step.needs == "code"
        with pytest.raises(SignInRefused):  # it is a ticket for the second step only
            sign_ins.redeem_ticket(step.ticket, address=None, device=None)
        ticket = sign_ins.check_code(step.ticket, code(secret), address=None)
        assert sign_ins.actor_of(sign_ins.redeem_ticket(ticket, address=None, device=None)) is not None
        with pytest.raises(SignInRefused, match="Sign in again"):  # it is used up
            sign_ins.check_code(step.ticket, codes[0], address=None)

    def test_a_wrong_code_may_be_tried_again_and_counts(self, ann: users.User) -> None:
        secret, _ = enrolled(ann)
        step = sign_ins.check_password(ann.email, PASSWORD, address=None)
        answers = []
        for _ in range(5):
            with pytest.raises(SignInRefused) as refused:
                sign_ins.check_code(step.ticket, "abcdef", address=None)
            answers.append(refused.value.sentence)
        assert answers[0] == "That code does not match, or was used already. 4 tries left before a pause of 1 min."
        assert answers[-1] == "That code does not match, or was used already. Try again in 1 min."
        for again in (
            lambda: sign_ins.check_code(step.ticket, code(secret), address=None),
            lambda: sign_ins.check_password(ann.email, PASSWORD, address=None),
        ):
            with pytest.raises(SignInRefused, match="Too many failed tries"):
                again()

    def test_the_right_password_does_not_clear_wrong_codes(self, ann: users.User) -> None:
        secret, _ = enrolled(ann)
        for _ in range(4):
            step = sign_ins.check_password(ann.email, PASSWORD, address=None)
            with pytest.raises(SignInRefused):
                sign_ins.check_code(step.ticket, "000000 no", address=None)
        step = sign_ins.check_password(ann.email, PASSWORD, address=None)
        with pytest.raises(SignInRefused, match="Try again in 1 min"):
            sign_ins.check_code(step.ticket, "000000 no", address=None)
        with writing(OPERATOR) as session:
            session.execute(update(SignInFailure).values(at=SignInFailure.at - timedelta(minutes=2)))
        sign_ins.check_code(step.ticket, code(secret), address=None)
        with reading() as session:
            assert session.scalar(select(func.count()).select_from(SignInFailure)) == 0

    @pytest.mark.parametrize("ticket", ["", "forged", "x" * 10_000, "half \ud83d"])
    def test_a_forged_ticket_gets_nowhere(self, ann: users.User, ticket: str) -> None:
        operations: list[Callable[[], object]] = [
            lambda: sign_ins.check_code(ticket, "123456", address=None),
            lambda: sign_ins.enrol(ticket),
            lambda: sign_ins.confirm_enrolment(ticket, "123456", address=None),
            lambda: sign_ins.redeem_ticket(ticket, address=None, device=None),
        ]
        for operation in operations:
            with pytest.raises(SignInRefused, match="Sign in again"):
                operation()

    def test_the_second_step_takes_ten_minutes_at_most(self, ann: users.User) -> None:
        secret, _ = enrolled(ann)
        step = sign_ins.check_password(ann.email, PASSWORD, address=None)
        with writing(OPERATOR) as session:
            left = session.scalar(select(SignInTicket.expires_at - func.clock_timestamp()))
            assert left is not None
            assert timedelta(minutes=9) < left <= timedelta(minutes=10)
            session.execute(update(SignInTicket).values(expires_at=func.clock_timestamp()))
        with pytest.raises(SignInRefused, match="took too long"):
            sign_ins.check_code(step.ticket, code(secret), address=None)

    def test_who_must_have_one_sets_it_up_on_the_way_in(self, ann: users.User, root: Actor) -> None:
        role_rules.require_second_factor(Role.ANALYST, True, by=root)
        step = sign_ins.check_password(ann.email, PASSWORD, address=None, stays=True)
        assert step.needs == "enrol"
        begun = sign_ins.enrol(step.ticket)
        with pytest.raises(SignInRefused, match=r"That code does not match.* 4 tries left"):
            sign_ins.confirm_enrolment(step.ticket, "abcdef", address=None)
        codes, ticket = sign_ins.confirm_enrolment(step.ticket, code(begun.secret), address=None)
        assert len(codes) == 10
        token = sign_ins.redeem_ticket(ticket, address=None, device=None)
        assert sign_ins.actor_of(token) is not None
        assert sign_ins.lasts(token) == timedelta(days=30)

    def test_a_ticket_for_a_code_sets_up_no_other_factor(self, ann: users.User) -> None:
        secret, _ = enrolled(ann)
        step = sign_ins.check_password(ann.email, PASSWORD, address=None)
        with pytest.raises(Conflict, match="already"):
            sign_ins.enrol(step.ticket)
        with pytest.raises(Conflict):
            sign_ins.confirm_enrolment(step.ticket, code(secret), address=None)

    def test_a_link_is_no_way_around_it(self, ann: users.User) -> None:
        enrolled(ann)
        assert sign_ins.after_link(ann.actor()).needs == "code"

    def test_a_deactivated_account_gets_no_further(self, ann: users.User, root: Actor) -> None:
        secret, _ = enrolled(ann)
        step = sign_ins.check_password(ann.email, PASSWORD, address=None)
        users.deactivate(ann.email, by=root)
        with pytest.raises(SignInRefused):
            sign_ins.check_code(step.ticket, code(secret), address=None)


def test_the_lookup_never_finds_by_something_else(db: str) -> None:
    assert accounts.looked_up("x" * 10_000) == "x" * accounts.MAX_EMAIL
