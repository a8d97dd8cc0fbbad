"""Requests that a program may send again: each is carried out at most once, and answered the same again.

The key is noted before the request is carried out, once more in the first transaction that it writes, and last with the
answer. Where a process dies in between, the second note says whether anything was written.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Boolean, DateTime, Integer, LargeBinary, Text, delete, event, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import Base, writing
from models.errors import Conflict, InvalidInput
from models.permissions import OPERATOR, Actor

KEPT = timedelta(hours=24)
PATIENCE = timedelta(minutes=15)  # longer than any request may take
LONGEST = 255  # characters of a key
LARGEST = 1_000_000  # bytes of an answer that is kept


class IdempotencyKey(Base):
    """`carried_out` is written with what the request writes; `status` is NULL until it is answered."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Text)
    began_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    carried_out: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    status: Mapped[int | None] = mapped_column(Integer)
    headers: Mapped[dict[str, str] | None] = mapped_column(JSONB)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class UnderWay(Conflict):
    """The same request is being carried out just now."""


class Carried:
    """A request that is carried out for the first time: its first transaction notes it (`database.MARK`)."""

    def __init__(self, by: Actor, key: str) -> None:
        self._which = IdempotencyKey.user_id == by.id, IdempotencyKey.key == key
        self._marked = False

    def __call__(self, session: Session) -> None:
        if self._marked:
            return
        self._marked = True
        event.listen(session, "after_rollback", self._unmarked, once=True)
        session.execute(update(IdempotencyKey).where(*self._which).values(carried_out=True))

    def _unmarked(self, _: Session) -> None:
        self._marked = False

    def answered(self, answer: Answer) -> None:
        """Keep the answer; of one that is too large, or holds a secret, that it was given."""
        kept: dict[str, Any] = {"status": answer.status, "headers": answer.headers, "body": answer.body}
        if len(answer.body) > LARGEST:
            kept["body"] = None
        with writing(OPERATOR) as session:
            session.execute(update(IdempotencyKey).where(*self._which).values(carried_out=True, **kept))

    def failed(self) -> None:
        """Nothing was answered: where nothing was written either, it may be sent again."""
        with writing(OPERATOR) as session:
            session.execute(delete(IdempotencyKey).where(*self._which, ~IdempotencyKey.carried_out))


def begin(key: str, fingerprint: str, *, by: Actor) -> Carried | Answer:
    """What is to be carried out now, or the answer that was given. `fingerprint` tells requests apart.

    Raises InvalidInput (the key is none, or was used for another request), UnderWay, Conflict (it was carried out, and
    the answer was lost or is not kept).
    """
    if not key or len(key) > LONGEST or not key.isprintable():
        raise InvalidInput(f"Idempotency-Key is a text of 1 to {LONGEST} printable characters.")
    mine = IdempotencyKey.user_id == by.id, IdempotencyKey.key == key
    with writing(OPERATOR) as session:
        over = func.clock_timestamp() - KEPT
        left = IdempotencyKey.status.is_(None) & ~IdempotencyKey.carried_out
        dead = left & (IdempotencyKey.began_at < func.clock_timestamp() - PATIENCE)
        session.execute(delete(IdempotencyKey).where(*mine, (IdempotencyKey.began_at < over) | dead))
        made = insert(IdempotencyKey).values(user_id=by.id, key=key, fingerprint=fingerprint)
        if session.execute(made.on_conflict_do_nothing().returning(IdempotencyKey.key)).one_or_none():
            return Carried(by, key)
        found = session.scalars(select(IdempotencyKey).where(*mine)).one()
        return _again(found, fingerprint)


def clear_past() -> None:
    """Forget the keys of which nobody need know any more."""
    with writing(OPERATOR) as session:
        session.execute(delete(IdempotencyKey).where(IdempotencyKey.began_at < func.clock_timestamp() - KEPT))


def _again(found: IdempotencyKey, fingerprint: str) -> Answer:
    if found.fingerprint != fingerprint:
        raise InvalidInput("This Idempotency-Key was used for another request: take a new key for each.")
    if found.status is not None and found.body is not None:
        return Answer(found.status, found.headers or {}, bytes(found.body))
    if found.status is None and not found.carried_out:
        raise UnderWay("The request with this Idempotency-Key is being carried out: ask again in a moment.")
    raise Conflict(
        "The request with this Idempotency-Key was carried out, and its answer cannot be given again: look at what is "
        "there before you send it with a new key."
    )
