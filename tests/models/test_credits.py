"""The ledger of download credits, on a real Postgres."""

from collections.abc import Sequence
from datetime import date

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from models import credit_ledger, credits, exports, users
from models.audit import AuditLine, Event
from models.contacts.table import Contact
from models.credit_ledger import CreditEntry, Kind
from models.credits import CreditTaking
from models.database import reading, writing
from models.errors import Conflict, InvalidInput, NotAllowed, NotEnoughCredits, NotFound
from models.exports import Export
from models.filters import Filters, parse
from models.permissions import OPERATOR, Actor, Role
from tests import ledger, people

LIMIT = 10


@pytest.fixture
def contacts(db: str) -> list[int]:
    """The ids of thirty contacts, every third of them in Chad."""
    rows = [{"email": f"{n}@example.com", "country": "Chad" if n % 3 == 0 else "Cuba"} for n in range(30)]
    with writing(OPERATOR) as session:
        return sorted(session.scalars(insert(Contact).returning(Contact.id), rows))


@pytest.fixture
def ann(contacts: list[int]) -> Actor:
    return person("ann")


def person(name: str, role: Role = Role.ANALYST, limit: int | None = LIMIT) -> Actor:
    return people.person(email=f"{name}@example.com", name=name, role=role, download_limit=limit).actor()


def asked(ids: Sequence[int] | None, by: Actor, filters: Filters | None = None) -> int:
    return exports.request(filters=filters or Filters(), columns=["email"], format="csv", ids=ids, by=by)


def made(ids: Sequence[int] | None, by: Actor) -> Export:
    """As the pipeline does it, without a file."""
    return finished(asked(ids, by), by)


def finished(export_id: int, by: Actor) -> Export:
    export = exports.get(export_id, by=OPERATOR)
    with reading() as session:
        fresh = exports.fresh(session, export, Filters(), by=by)
    exports.begin(export_id, total=0, path="x", fresh=fresh, by=by)
    written = {"path": "x", "rows": 0, "bytes": 0, "sha256": "", "notes": None, "seconds": 0.0}
    with writing(by) as session:
        exports.finish(session, export_id, written=written, fresh=fresh, by=by)
    return exports.get(export_id, by=OPERATOR)


def left(by: Actor) -> tuple[int, int | None, int]:
    found = credits.balance(by=by)
    return found.used, found.left, found.lasting


def lines_of(by: Actor) -> list[tuple[str, int]]:
    """Oldest first."""
    return [(line.entry.kind, line.entry.amount) for line in reversed(credits.entries(by=by, limit=1000))]


def require_sums(by: Actor) -> None:
    """What always holds: each pool's balance is the sum of its amounts, after every entry."""
    with reading() as session:
        running = func.sum(CreditEntry.amount).over(
            partition_by=(CreditEntry.user_id, CreditEntry.month), order_by=CreditEntry.id
        )
        rows = session.execute(select(CreditEntry.id, CreditEntry.balance, running.label("sum"))).all()
    assert [row.id for row in rows if row.balance != row.sum or row.balance < 0] == []


def test_a_month_begins_with_the_limit_and_a_look_posts_it_once(ann: Actor) -> None:
    assert left(ann) == left(ann) == (0, LIMIT, 0)
    assert lines_of(ann) == [(Kind.ALLOWANCE, LIMIT)]
    found = credits.balance(by=ann)
    today = date.today()
    assert (found.renews.day, found.renews > today, (found.renews - today).days <= 31) == (1, True, True)
    assert (found.limit, found.available) == (LIMIT, LIMIT)


def test_an_export_costs_its_contacts_and_the_same_ones_nothing(ann: Actor, contacts: list[int]) -> None:
    assert credits.cost(Filters(), contacts[:4], by=ann) == 4
    assert made(contacts[:4], ann).credits == 4
    assert credits.cost(Filters(), contacts[:6], by=ann) == 2
    assert made(contacts[2:6], ann).credits == 2
    assert made(contacts[:6], ann).credits == 0
    assert left(ann) == (6, 4, 0)
    require_sums(ann)


def test_what_an_export_holds_is_taken_once_its_file_is_there(ann: Actor, contacts: list[int]) -> None:
    def words() -> list[str]:
        return [line.word for line in credits.entries(by=ann)]

    first = asked(contacts[:3], ann)
    assert words() == ["held", "allowance"]
    finished(first, ann)
    assert words() == ["taken", "allowance"]
    exports.cancel(asked(contacts[:5], ann), by=ann)
    assert words() == ["given back", "held", "taken", "allowance"]


def test_what_is_reserved_is_gone_and_comes_back(ann: Actor, contacts: list[int]) -> None:
    first = asked(contacts[:7], ann)
    assert exports.get(first, by=ann).credits == 7
    assert left(ann) == (7, 3, 0)
    exports.cancel(first, by=ann)
    assert (exports.get(first, by=ann).credits, left(ann)) == (0, (0, LIMIT, 0))
    second = asked(contacts[:7], ann)
    exports.fail(second, "The disk is full.", by=ann)
    exports.fail(second, "Once more.", by=ann)
    assert left(ann) == (0, LIMIT, 0)
    third = asked(contacts[:7], ann)
    exports.begin(third, total=7, path="x", by=ann)
    assert exports.fail_interrupted() == [third]
    assert left(ann) == (0, LIMIT, 0)
    require_sums(ann)


def test_more_than_is_left_is_refused_with_the_way_out(ann: Actor, contacts: list[int]) -> None:
    made(contacts[:4], ann)
    renews = credits.balance(by=ann).renews
    until = f"{renews.day} {renews:%B}"
    with pytest.raises(NotEnoughCredits) as refused:
        asked(contacts[3:14], ann)
    assert refused.value.sentence == (
        f"This would take 10 credits; you have 6 until {until}. Narrow the filter, buy a pack under Plans, or ask an "
        "administrator for more."
    )
    assert (refused.value.cost, exports.count(by=ann), left(ann)) == (10, 1, (4, 6, 0))
    made(contacts[4:10], ann)
    with pytest.raises(NotEnoughCredits, match=f"take 1 credit; you have none left until {until}\\. Narrow"):
        asked(contacts[11:12], ann)
    assert made(contacts[:10], ann).credits == 0


def test_a_grant_lasts_and_is_taken_after_the_months(ann: Actor, contacts: list[int]) -> None:
    admin = person("ada", Role.ADMIN)
    assert credits.grant(" Ａnn@example.com", 5, "for the fair", by=admin).lasting == 5, (
        "in any spelling of the account"
    )
    with pytest.raises(NotEnoughCredits, match=r"you have 15: 10 until .*, 5 that last"):
        asked(contacts[:16], ann)
    made(contacts[:12], ann)
    assert left(ann) == (12, 0, 3)
    export_id = asked(contacts[12:14], ann)
    assert left(ann) == (14, 0, 1)
    exports.cancel(export_id, by=ann)
    assert left(ann) == (12, 0, 3)
    [line] = [one for one in credits.entries(by=ann) if one.entry.kind == Kind.GRANT]
    assert (line.entry.note, line.by_name, line.entry.month) == ("for the fair", "ada", None)
    with reading() as session:
        details = session.scalars(select(AuditLine.details).where(AuditLine.event == Event.CREDITS_GRANTED)).one()
    assert details == {"amount": 5, "note": "for the fair", "before": {"credits": 0}, "after": {"credits": 5}}
    require_sums(ann)


@pytest.mark.parametrize("amount", [0, -5, 10**10])
def test_what_cannot_be_granted(ann: Actor, amount: int) -> None:
    with pytest.raises(InvalidInput, match="cannot be granted: give a number from 1"):
        credits.grant("ann@example.com", amount, by=OPERATOR)
    with pytest.raises(NotFound, match=r"no user with the e-mail bob@example\.com"):
        credits.grant("bob@example.com", 5, by=OPERATOR)
    with pytest.raises(NotAllowed, match="may not grant download credits: that needs the role admin"):
        credits.grant("ann@example.com", 5, by=ann)
    assert left(ann) == (0, LIMIT, 0)


def test_a_grant_is_taken_back_as_far_as_it_is_left(ann: Actor, contacts: list[int]) -> None:
    admin = person("ada", Role.ADMIN)
    credits.grant("ann@example.com", 1000, "by mistake", by=admin)
    made(contacts[:12], ann)
    with pytest.raises(InvalidInput, match=r"ann@example\.com has 998 granted credits left: take back at most 998\."):
        credits.take_back("ann@example.com", 999, by=admin)
    assert credits.take_back("ann@example.com", 990, " too many ", by=admin).lasting == 8
    assert left(ann) == (12, 0, 8)
    line = credits.entries(by=ann)[0]
    assert (line.entry.kind, line.entry.amount, line.entry.balance, line.entry.note, line.by_name) == (
        Kind.TAKEN_BACK, -990, 8, "too many", "ada"
    )  # fmt: skip
    with reading() as session:
        details = session.scalars(select(AuditLine.details).where(AuditLine.event == Event.CREDITS_TAKEN_BACK)).one()
    assert details == {"amount": 990, "note": "too many", "before": {"credits": 998}, "after": {"credits": 8}}
    assert credits.take_back("ann@example.com", 8, by=OPERATOR).lasting == 0
    with pytest.raises(InvalidInput, match="no granted credits left that could be taken back"):
        credits.take_back("ann@example.com", 1, by=admin)
    with pytest.raises(InvalidInput, match="cannot be taken back: give a number from 1"):
        credits.take_back("ann@example.com", -1, by=admin)
    with pytest.raises(NotAllowed, match="may not grant download credits"):
        credits.take_back("ann@example.com", 1, by=ann)
    require_sums(ann)


def test_only_ones_own_ledger_is_ones_own(ann: Actor, contacts: list[int]) -> None:
    max_, ada = person("max", Role.MANAGER), person("ada", Role.ADMIN, None)
    for look in (lambda: credits.balance(of=ann.id, by=max_), lambda: credits.entries(of=ann.id, by=max_)):
        with pytest.raises(NotAllowed, match="may not manage users"):
            look()
    with pytest.raises(NotAllowed, match="may not manage users"):
        credits.usage([ann.id or 0], by=ann)
    made(contacts[:3], ann)
    made(contacts[:20], ada)
    assert credits.balance(of=ann.id, by=ada).left == 7
    [newest] = credits.entries(of=ann.id, by=ada, limit=1)
    [before] = credits.entries(of=ann.id, by=ada, limit=1, before_id=newest.entry.id)
    assert (newest.entry.amount, before.entry.amount) == (-3, 10)
    assert credits.usage([ann.id or 0, max_.id or 0, ada.id or 0], by=ada) == {
        ann.id: (3, LIMIT, 0), max_.id: (0, LIMIT, 0), ada.id: (20, None, 0)
    }  # fmt: skip
    with pytest.raises(NotFound, match="no user 999"):
        credits.balance(of=999, by=ada)


def test_without_a_limit_nothing_is_refused_and_all_is_counted(contacts: list[int]) -> None:
    ada = person("ada", Role.ADMIN, None)
    assert made(None, ada).credits == 30
    assert made(None, ada).credits == 0
    assert left(ada) == (30, None, 0)
    exports.cancel(asked([], ada), by=ada)
    users.change("ada@example.com", users.Changes(download_limit=35), by=OPERATOR)
    assert left(ada) == (30, 5, 0)
    require_sums(ada)


def test_the_operator_has_no_ledger(contacts: list[int]) -> None:
    assert credits.cost(parse(["country=Chad"], by=OPERATOR), None, by=OPERATOR) == 10
    assert credits.balance(by=OPERATOR).limit is None
    export_id = asked(None, OPERATOR)
    assert exports.get(export_id, by=OPERATOR).credits == 0
    exports.cancel(export_id, by=OPERATOR)
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(CreditEntry)) == 0


@pytest.mark.parametrize(("limit", "expected"), [(20, 16), (5, 1), (3, 0), (0, 0)])
def test_another_limit_counts_at_once_and_never_below_nothing(
    ann: Actor, contacts: list[int], limit: int, expected: int
) -> None:
    made(contacts[:4], ann)
    users.change("ann@example.com", users.Changes(download_limit=limit), by=OPERATOR)
    assert lines_of(ann)[-1] == (Kind.ALLOWANCE, expected - 6)
    assert left(ann) == (4, expected, 0)
    users.change("ann@example.com", users.Changes(download_limit=LIMIT), by=OPERATOR)
    assert left(ann) == (4, 6, 0)
    with reading() as session:
        changed = AuditLine.event == Event.CREDITS_CHANGED, AuditLine.subject == "user ann@example.com"
        lines = session.scalars(select(AuditLine.details).where(*changed).order_by(AuditLine.id)).all()
    told = [(line["before"]["credits"], line["after"]["credits"]) for line in lines if line]
    assert told == [(6, expected), (expected, 6)]
    require_sums(ann)


def test_a_refund_does_not_lift_what_is_left_above_a_lower_limit(ann: Actor, contacts: list[int]) -> None:
    export_id = asked(contacts[:8], ann)
    users.change("ann@example.com", users.Changes(download_limit=5), by=OPERATOR)
    assert left(ann) == (8, 0, 0)
    exports.cancel(export_id, by=ann)
    assert left(ann) == (0, 5, 0)
    require_sums(ann)


def test_another_name_changes_no_credits(ann: Actor) -> None:
    users.change("ann@example.com", users.Changes(name="Anne"), by=OPERATOR)
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(CreditEntry)) == 0


def test_contacts_that_come_meanwhile_are_paid_or_the_export_fails(ann: Actor, contacts: list[int]) -> None:
    chad = parse(["country=Chad"], by=ann)
    export_id = asked(contacts[:12], ann, chad)  # four of them
    with writing(OPERATOR) as session:
        session.execute(update(Contact).where(Contact.id.in_(contacts[:12])).values(country="Chad"))
    export = exports.get(export_id, by=ann)
    with reading() as session:
        fresh = exports.fresh(session, export, chad, by=ann)
    assert fresh is not None
    assert fresh.number == 12
    with pytest.raises(NotEnoughCredits, match="take 8 credits; you have 6"):
        exports.begin(export_id, total=12, path="x", fresh=fresh, by=ann)
    credits.grant("ann@example.com", 2, by=OPERATOR)
    exports.begin(export_id, total=12, path="x", fresh=fresh, by=ann)
    assert left(ann) == (12, 0, 0)
    exports.fail(export_id, "The disk is full.", by=ann)
    assert left(ann) == (0, 10, 2)
    require_sums(ann)


def test_of_two_exports_at_once_the_same_contacts_are_paid_once(ann: Actor, contacts: list[int]) -> None:
    first, second = asked(contacts[:5], ann), asked(contacts[2:6], ann)
    assert left(ann) == (9, 1, 0)
    with reading() as before:  # the snapshot of the second does not see what the first takes
        fresh = exports.fresh(before, exports.get(second, by=ann), Filters(), by=ann)
        exports.begin(second, total=4, path="x", fresh=fresh, by=ann)
        assert finished(first, ann).credits == 5
        with writing(ann) as session:
            written = {"path": "x", "rows": 4, "bytes": 0, "sha256": "", "notes": None, "seconds": 0.0}
            exports.finish(session, second, written=written, fresh=fresh, by=ann)
    assert exports.get(second, by=ann).credits == 1
    assert left(ann) == (6, 4, 0)
    require_sums(ann)


def test_an_export_counts_in_the_month_in_which_it_was_asked_for(ann: Actor, contacts: list[int]) -> None:
    """As if it were now the first of the next month: what happened so far is set back by one."""
    first, second = asked(contacts[:4], ann), asked(contacts[4:7], ann)
    ledger.a_month_back()
    assert left(ann) == (0, LIMIT, 0)
    assert finished(first, ann).credits == 4
    exports.cancel(second, by=ann)
    assert left(ann) == (0, LIMIT, 0)
    assert credits.cost(Filters(), contacts[:4], by=ann) == 4
    with reading() as session:
        month = credit_ledger.this_month(session)
        assert session.scalars(select(CreditTaking.month)).one() < month
        assert {entry.month == month for entry in session.scalars(select(CreditEntry))} == {True, False}
    require_sums(ann)


@pytest.mark.parametrize("what", ["UPDATE credit_entries SET amount = 0", "DELETE FROM credit_entries"])
def test_the_ledger_only_grows(ann: Actor, what: str) -> None:
    left(ann)
    with pytest.raises(DBAPIError, match="only grows"), writing(OPERATOR) as session:
        session.execute(text(what))


def test_a_failed_export_is_not_run_on_an_earlier_months_credits(ann: Actor, contacts: list[int]) -> None:
    export_id = asked(contacts[:4], ann)
    exports.fail(export_id, "The disk is full.", by=ann)
    assert finished(export_id, ann).credits == 4
    assert left(ann) == (4, 6, 0)
    export_id = asked(contacts[4:8], ann)
    exports.fail(export_id, "The disk is full.", by=ann)
    ledger.a_month_back()
    with pytest.raises(Conflict, match="failed in an earlier month: ask for it again"):
        finished(export_id, ann)


def test_the_cost_says_nothing_of_what_may_not_be_seen(ann: Actor, contacts: list[int]) -> None:
    narrow = Actor(ann.id, "ann", Role.ANALYST, frozenset({"email"}))
    with pytest.raises(NotAllowed, match="may not see the column Country"):
        credits.cost(parse(["country=Chad"], by=OPERATOR), None, by=narrow)
