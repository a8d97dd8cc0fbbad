"""Download credits. One credit takes one contact out, as often as one likes in a month.

Each person has a month's allowance (`download_limit`; NULL is no limit) and what was granted or bought, which lasts. An
export reserves what it will cost when it is asked for and settles when its file is there; whatever ends it before gives
the credits back. The operator at the command line has no ledger.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Select, Text, any_, func, literal, literal_column, select
from sqlalchemy import text as sql
from sqlalchemy.orm import Session

from models import accounts, audit, credit_ledger, credit_takings
from models.audit import Event
from models.contacts import search
from models.contacts.table import Contact
from models.credit_ledger import Account, CreditEntry, Kind
from models.credit_takings import CreditTaking, Fresh
from models.database import LARGEST_ID, reading, writing
from models.errors import InvalidInput, NotEnoughCredits, NotFound, credits_left
from models.filters import Filters
from models.payments import held_credits
from models.permissions import Actor, Permission, require, require_own
from models.users import User

__all__ = ["Balance", "CreditEntry", "CreditTaking", "Entry", "Fresh", "Kind"]

WORDS = {
    Kind.ALLOWANCE: "allowance",
    Kind.GRANT: "granted",
    Kind.PURCHASE: "bought",
    Kind.TAKEN_BACK: "taken back",
    Kind.RESERVED: "taken",
    Kind.SETTLED: "taken",
    Kind.REFUNDED: "given back",
}
MOST = 1_000_000_000  # credits of one grant


@dataclass(frozen=True)
class Balance:
    """A person's credits now. `limit` and `left` are of the month, None without a limit; `lasting` stays."""

    limit: int | None
    used: int
    """Contacts of this month, whichever pool paid for them, those of exports under way included."""
    left: int | None
    lasting: int
    renews: date

    @property
    def available(self) -> int | None:
        return None if self.left is None else self.left + self.lasting

    def require(self, cost: int) -> None:
        """Raises NotEnoughCredits where they are fewer than `cost`."""
        if self.left is not None and cost > self.left + self.lasting:
            raise NotEnoughCredits(cost, monthly=self.left, lasting=self.lasting, until=self.renews)

    @property
    def words(self) -> str:
        """“310 until 1 December”."""
        return "no limit" if self.left is None else credits_left(self.left, self.lasting, self.renews)


@dataclass(frozen=True)
class Entry:
    """A line of the ledger, as people read it; `by_name` is None for the operator, `export_state` without an export."""

    entry: CreditEntry
    by_name: str | None
    export_state: str | None = None

    @property
    def word(self) -> str:
        """What became of the credits: an export holds them until its file is there."""
        spent = self.entry.kind in (Kind.RESERVED, Kind.SETTLED)
        return "held" if spent and self.export_state not in (None, "done") else WORDS[Kind(self.entry.kind)]


_USED = """SELECT -coalesce(sum(e.amount), 0)::bigint
    FROM credit_entries e LEFT JOIN exports x ON x.id = e.export_id
    WHERE e.user_id = u.id AND e.kind = ANY (:spending) AND (e.month = :month OR (e.month IS NULL
        AND date_trunc('month', coalesce(x.created_at, e.at) AT TIME ZONE 'UTC') = :month))"""
_LASTING = """SELECT e.balance FROM credit_entries e WHERE e.user_id = u.id AND e.month IS NULL
    ORDER BY e.id DESC LIMIT 1"""
_USAGE = sql(
    f"""SELECT u.id, u.download_limit AS limit, ({_USED}) AS used, coalesce(({_LASTING}), 0) AS lasting
    FROM users u WHERE u.id = ANY (:ids)"""
)


def balance(*, by: Actor, of: int | None = None) -> Balance:
    """One's own, or that of the person with the id `of`. The first look of a month posts its allowance.

    Raises NotAllowed, NotFound.
    """
    return _balance(_whose(of, by), by)


def _balance(user_id: int | None, by: Actor) -> Balance:
    with reading() as session:
        month = credit_ledger.this_month(session)
        if user_id is None:
            return Balance(None, 0, None, 0, credit_ledger.renewal(month))
        _person(session, user_id)
        account, used = credit_ledger.read(session, user_id, month), _used(session, [user_id], month)[user_id][0]
    if account.due:
        with writing(by) as session:
            account = credit_ledger.opened(session, user_id, by=by)
    left = None if account.limit is None else account.monthly
    return Balance(account.limit, used, left, account.lasting, credit_ledger.renewal(account.month))


def cost(filters: Filters, ids: Sequence[int] | None, *, by: Actor) -> int:
    """How many credits it takes to take these contacts out now: those that were not taken in this month.

    Raises NotAllowed.
    """
    require(by, Permission.CONTACTS_EXPORT)
    with reading() as session:
        return cost_of(session, _wanted(filters, ids, by), by=by)


def cost_of(session: Session, wanted: Select[Any], *, by: Actor) -> int:
    """`cost` of contacts that the caller selects by their ids."""
    if by.id is None:
        return session.scalar(select(func.count()).select_from(wanted.order_by(None).subquery())) or 0
    month = credit_ledger.this_month(session)
    return credit_takings.number_of_fresh(session, wanted, user_id=by.id, month=month)


def grant(email: str, amount: int, note: str | None = None, *, by: Actor) -> Balance:
    """Give a person credits that last. Raises NotAllowed, NotFound, InvalidInput (an amount below 1, or too large)."""
    require(by, Permission.CREDITS_GRANT)
    if not 1 <= amount <= MOST:
        raise InvalidInput(f"{amount:,} credits cannot be granted: give a number from 1 to {MOST:,}.", field="amount")
    return _add(email, amount, note, Kind.GRANT, Event.CREDITS_GRANTED, by=by)


def take_back(email: str, amount: int, note: str | None = None, *, by: Actor) -> Balance:
    """Take back credits that last, at most what is left of them. Raises NotAllowed, NotFound, InvalidInput."""
    require(by, Permission.CREDITS_GRANT)
    if amount < 1:
        raise InvalidInput(f"{amount:,} credits cannot be taken back: give a number from 1.", field="amount")
    return _add(email, -amount, note, Kind.TAKEN_BACK, Event.CREDITS_TAKEN_BACK, by=by)


def _add(email: str, amount: int, note: str | None, kind: Kind, event: Event, *, by: Actor) -> Balance:
    said = accounts.printable((note or "").strip()) or None
    with writing(by) as session:
        accounts.require_still(session, by, Permission.CREDITS_GRANT)
        user = accounts.by_email(session, email)
        account = credit_ledger.opened(session, user.id, by=by)
        before = account.lasting
        if before + amount < 0:
            raise InvalidInput(_too_many(user.email, before), field="amount")
        credit_ledger.add(session, account, amount, kind, note=said, by=by)
        audit.write(
            session, event, f"user {user.email}", by=by,
            amount=abs(amount), note=said, before={"credits": before}, after={"credits": account.lasting},
        )  # fmt: skip
        user_id = user.id
    return _balance(user_id, by)  # which who may grant may see of whom they just granted to


def _too_many(email: str, lasting: int) -> str:
    if not lasting:
        return f"{email} has no granted credits left that could be taken back. The month's come from the limit."
    return f"{email} has {lasting:,} granted credits left: take back at most {lasting:,}."


def entries(*, of: int | None = None, by: Actor, limit: int = 50, before_id: int | None = None) -> list[Entry]:
    """The ledger of a person, newest first; those that are older than the entry `before_id`, where it is given.

    Raises NotAllowed for another's without the permission, NotFound.
    """
    user_id = _whose(of, by)
    state = literal_column("(SELECT x.state FROM exports x WHERE x.id = credit_entries.export_id)", Text)
    lines = select(CreditEntry, User.name, state).outerjoin(User, User.id == CreditEntry.created_by)
    newest_first = lines.where(CreditEntry.user_id == user_id).order_by(CreditEntry.id.desc())
    if before_id is not None:
        newest_first = newest_first.where(CreditEntry.id < before_id)
    with reading() as session:
        if user_id is not None:
            _person(session, user_id)
        found = [Entry(*row) for row in session.execute(newest_first.limit(limit))]
        session.expunge_all()
    return found


def usage(user_ids: Collection[int], *, by: Actor) -> dict[int, tuple[int, int | None, int]]:
    """For each of these people the contacts used this month, the limit (None is none), and the credits that last."""
    require(by, Permission.USERS_MANAGE)
    with reading() as session:
        return _used(session, user_ids, credit_ledger.this_month(session))


def reserve(session: Session, export_id: int, filters: Filters, ids: Sequence[int] | None, *, by: Actor) -> int:
    """Set aside what an export will cost, in the transaction that notes it; returns that.

    Raises NotEnoughCredits.
    """
    wanted = _wanted(filters, ids, by)
    if by.id is None:
        return 0
    account = credit_ledger.opened(session, by.id, by=by)
    number = credit_takings.number_of_fresh(session, wanted, user_id=by.id, month=account.month)
    credit_ledger.spend(session, account, number, Kind.RESERVED, by=by, export_id=export_id)
    return number


def cover(session: Session, export_id: int, fresh: Fresh, *, payer: int, month: date, by: Actor) -> int:
    """Set aside as much as the export's snapshot costs, where that is more by now; returns what is held.

    Raises NotEnoughCredits.
    """
    account = credit_ledger.opened(session, payer, month=month, by=by)
    held = credit_ledger.held(session, export_id)
    more = max(0, fresh.number - held)
    credit_ledger.spend(session, account, more, Kind.SETTLED, by=by, export_id=export_id)
    return held + more


def settle(session: Session, export_id: int, fresh: Fresh, *, payer: int, month: date, by: Actor) -> int:
    """Note what was taken out, and give back what was held beyond that; returns the export's cost.

    `cover` set aside enough: since then another export may only have taken some of the same contacts.
    """
    held_credits.lock(session, payer)
    account = credit_ledger.opened(session, payer, month=month, by=by)
    number = credit_takings.take(session, fresh, user_id=payer, month=month, export_id=export_id)
    held = credit_ledger.held(session, export_id)
    credit_ledger.spend(session, account, max(0, number - held), Kind.SETTLED, by=by, export_id=export_id)
    returned = credit_ledger.give_back(session, account, max(0, held - number), export_id=export_id, by=by)
    held_credits.collect(session, account, returned, export_id=export_id)
    return number


def refund(session: Session, export_id: int, *, payer: int, month: date, by: Actor) -> None:
    """Give back all that the export holds; a second time there is nothing. What belongs to a payment that was refunded
    meanwhile goes on to that."""
    held_credits.lock(session, payer)
    account = credit_ledger.opened(session, payer, month=month, by=by)
    held = credit_ledger.held(session, export_id)
    returned = credit_ledger.give_back(session, account, held, export_id=export_id, by=by)
    held_credits.collect(session, account, returned, export_id=export_id)


def pay(session: Session, wanted: Select[Any], *, snapshot: Session | None = None, by: Actor) -> int:
    """Take contacts out at once, without an export; returns what that cost. `snapshot` is the session that reads them,
    where that is another one. Raises NotEnoughCredits."""
    if by.id is None:
        return 0
    account: Account = credit_ledger.opened(session, by.id, by=by)
    fresh = credit_takings.fresh(snapshot or session, wanted, user_id=by.id, month=account.month)
    credit_ledger.spend(session, account, fresh.number, Kind.SETTLED, by=by)
    return credit_takings.take(session, fresh, user_id=by.id, month=account.month, export_id=None)


def fresh(
    session: Session, filters: Filters, ids: Sequence[int] | None, *, payer: int, month: date, by: Actor
) -> Fresh:
    """What an export would have to pay for, as the session's snapshot has it; `by` is whose sight counts."""
    return credit_takings.fresh(session, _wanted(filters, ids, by), user_id=payer, month=month)


def _wanted(filters: Filters, ids: Sequence[int] | None, by: Actor) -> Select[Any]:
    matching = search.matching(filters, [], by=by)
    return matching if ids is None else matching.where(Contact.id == any_(literal(list(ids), ARRAY(BigInteger))))


def _whose(of: int | None, by: Actor) -> int | None:
    if of is not None and (of != by.id or by.may(Permission.USERS_MANAGE)):
        require(by, Permission.USERS_MANAGE)
        return of
    require_own(by)
    return by.id


def _person(session: Session, user_id: int) -> None:
    if not 0 < user_id <= LARGEST_ID or session.get(User, user_id) is None:
        raise NotFound(f"There is no user {user_id}.")


def _used(session: Session, user_ids: Collection[int], month: date) -> dict[int, tuple[int, int | None, int]]:
    parameters = {"ids": list(user_ids), "month": month, "spending": list(credit_ledger.SPENDING)}
    return {row.id: (row.used, row.limit, row.lasting) for row in session.execute(_USAGE, parameters)}
