"""What always holds of the ledger: with a hundred exports of one person at once, in whatever order things happen."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, update

from models import credit_ledger, credits, exports, users
from models.contacts.table import Contact
from models.credit_ledger import SPENDING, CreditEntry, Kind
from models.credits import CreditTaking
from models.database import reading, writing
from models.errors import NotEnoughCredits
from models.exports import Export, State
from models.filters import Filters
from models.permissions import OPERATOR, Actor, Role

CONTACTS, LIMIT, EXPORTS = 200, 60, 100
WRITTEN = {"path": "x", "rows": 0, "bytes": 0, "sha256": "", "notes": None, "seconds": 0.0}


def person(limit: int | None) -> Actor:
    """Without a password, whose hash would take longer than all of the rest."""
    with writing(OPERATOR) as session:
        number = session.scalar(select(func.count()).select_from(users.User))
        made = users.User(name="Ann", email=f"ann{number}@example.com", role=Role.ANALYST, download_limit=limit)
        session.add(made)
        session.flush()
        return Actor(made.id, made.name, Role.ANALYST)


def contacts(number: int) -> list[int]:
    with writing(OPERATOR) as session:
        return list(session.scalars(insert(Contact).returning(Contact.id), [{"city": str(n)} for n in range(number)]))


def requested(ids: Sequence[int], by: Actor) -> int:
    return exports.request(filters=Filters(), columns=["city"], format="csv", ids=ids, by=by)


def finish(export_id: int, by: Actor) -> None:
    """As the pipeline does it: what is fresh is read in a snapshot that others change meanwhile."""
    with reading() as session:
        fresh = exports.fresh(session, exports.get(export_id, by=by), Filters(), by=by)
    exports.begin(export_id, total=0, path="x", fresh=fresh, by=by)
    with writing(by) as session:
        exports.finish(session, export_id, written=WRITTEN, fresh=fresh, by=by)


def set_limit(limit: int | None, by: Actor) -> None:
    """As users.change does it, without its lock on all people."""
    with writing(OPERATOR) as session:
        session.execute(update(users.User).where(users.User.id == by.id).values(download_limit=limit))
        credit_ledger.limit_changed(session, by.id or 0, by=OPERATOR)


def require_sums(by: Actor) -> None:
    """Each balance is the sum before it and never negative; what was taken is what was paid for, each contact once."""
    with reading() as session:
        mine = CreditEntry.user_id == by.id
        running = func.sum(CreditEntry.amount).over(partition_by=CreditEntry.month, order_by=CreditEntry.id)
        for row in session.execute(select(CreditEntry.balance, running.label("sum")).where(mine)):
            assert row.balance == row.sum >= 0
        taken = select(func.unnest(CreditTaking.contact_ids)).where(CreditTaking.user_id == by.id)
        ids = list(session.scalars(taken))
        spent = session.scalar(select(-func.sum(CreditEntry.amount)).where(mine, CreditEntry.kind.in_(SPENDING))) or 0
        held = select(func.sum(Export.credits)).where(Export.created_by == by.id)
        of_exports = session.scalar(held) or 0
        reserved = session.scalar(held.where(Export.state != State.DONE)) or 0
    assert len(ids) == len(set(ids)) == spent - reserved
    assert spent == of_exports == credits.balance(by=by).used


def test_a_hundred_exports_at_once_neither_overdraw_nor_pay_twice(db: str) -> None:
    ids, by = contacts(CONTACTS), person(LIMIT)

    def one(number: int) -> str:
        chance = random.Random(number)
        try:
            export_id = requested(chance.sample(ids, 5), by)
            match number % 5:
                case 0:
                    exports.cancel(export_id, by=by)
                case 1:
                    exports.fail(export_id, "The disk is full.", by=by)
                case _:
                    finish(export_id, by)
            if number % 20 == 7:
                credits.grant("ann0@example.com", 3, by=OPERATOR)
            if number % 20 == 9:
                set_limit(LIMIT - number % 40, by)
        except NotEnoughCredits:
            return "refused"
        return "ended"

    with ThreadPoolExecutor(EXPORTS) as pool:
        ended = list(pool.map(one, range(EXPORTS)))
    assert {"refused", "ended"} == set(ended)
    require_sums(by)
    with reading() as session:
        waiting = session.scalars(select(Export.id).where(Export.state.in_(exports.UNDER_WAY))).all()
    for export_id in waiting:  # those that the snapshot of their run made too dear
        exports.cancel(export_id, by=by)
    require_sums(by)


@dataclass
class Story:
    by: Actor
    ids: list[int]
    open: list[int] = field(default_factory=list)

    def ask(self, first: int, number: int) -> None:
        self.open.append(requested(self.ids[first : first + number], self.by))

    def end(self, how: str, which: int) -> None:
        if not self.open:
            return
        export_id = self.open[which % len(self.open)]
        if how == "finish":
            finish(export_id, self.by)
        elif how == "cancel":
            exports.cancel(export_id, by=self.by)
        else:
            exports.fail(export_id, "The disk is full.", by=self.by)
        self.open.remove(export_id)

    def grant(self, amount: int) -> None:
        with writing(OPERATOR) as session:
            account = credit_ledger.opened(session, self.by.id or 0, by=OPERATOR)
            credit_ledger.add(session, account, amount, Kind.GRANT, note=None, by=OPERATOR)

    def limit(self, limit: int | None) -> None:
        set_limit(limit, self.by)


STEPS = st.one_of(
    st.tuples(st.just("ask"), st.integers(0, 20), st.integers(1, 12)),
    st.tuples(st.just("end"), st.sampled_from(["finish", "finish", "cancel", "fail"]), st.integers(0, 9)),
    st.tuples(st.just("grant"), st.integers(1, 9)),
    st.tuples(st.just("limit"), st.none() | st.integers(0, 30)),
)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.none() | st.integers(0, 20), steps=st.lists(STEPS, max_size=14))
def test_whatever_happens_the_ledger_sums(db: str, limit: int | None, steps: list[tuple[str, int, int]]) -> None:
    story = Story(person(limit), contacts(32))
    for name, *given_ in steps:
        with suppress(NotEnoughCredits):
            getattr(story, name)(*given_)
        require_sums(story.by)
        found = credits.balance(by=story.by)
        with reading() as session:
            account = credit_ledger.read(session, story.by.id or 0, credit_ledger.this_month(session))
        assert account.due == 0
        if found.limit is not None:
            assert found.left == max(0, found.limit - account.spent)
