"""Requests that a program may send again: each is carried out at most once, and answered the same again.

The key is noted before the request is carried out, once more in the first transaction that it writes, and last with the
answer. Where a process dies in between, the second note says whether anything was written: where nothing was, whoever
sends the request again carries it out. Whether a process lives is never written down: it holds a lock.
"""

import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Text,
    delete,
    event,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import INSTANCES_LOCK, LARGEST_ID, Base, claims, engine, writing
from models.errors import Conflict, InvalidInput
from models.permissions import OPERATOR, Actor

KEPT = timedelta(hours=24)
LONGEST = 255  # characters of a key
LARGEST = 1_000_000  # bytes of an answer that is kept


class IdempotencyKey(Base):
    """`instance` carries the request out; `carried_out` is written with what the request writes; `status` is NULL until
    it is answered, and `body` where the answer is not kept."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Text)
    instance: Mapped[int] = mapped_column(Integer)
    began_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    carried_out: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    status: Mapped[int | None] = mapped_column(Integer)
    headers: Mapped[dict[str, str] | None] = mapped_column(JSONB)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)

    __table_args__ = (Index("idempotency_keys_began", "began_at"),)


@dataclass(frozen=True)
class Answer:
    """`body` None is one that is not kept: it is too large, or holds a secret."""

    status: int
    headers: dict[str, str]
    body: bytes | None


class UnderWay(Conflict):
    """The same request is being carried out just now."""


class Carried:
    """A request that is carried out for the first time: its first transaction notes it (`database.MARK`)."""

    def __init__(self, by: Actor, key: str, instance: int) -> None:
        mine = IdempotencyKey.user_id == by.id, IdempotencyKey.key == key
        self._which = (*mine, IdempotencyKey.instance == instance)
        self._marked = False

    def __call__(self, session: Session) -> None:
        """Raises UnderWay where another instance has it by now, which took this one for dead: nothing is written."""
        if self._marked:
            return
        self._marked = True
        event.listen(session, "after_rollback", self._unmarked, once=True)
        noted = update(IdempotencyKey).where(*self._which).values(carried_out=True).returning(IdempotencyKey.key)
        if session.execute(noted).one_or_none() is None:
            raise UnderWay("Another server carries this request out: ask again in a moment.")

    def _unmarked(self, _: Session) -> None:
        self._marked = False

    def answered(self, answer: Answer) -> None:
        """Keep the answer."""
        kept: dict[str, Any] = {"status": answer.status, "headers": answer.headers, "body": answer.body}
        if answer.body is not None and len(answer.body) > LARGEST:
            kept["body"] = None
        with writing(OPERATOR) as session:
            session.execute(update(IdempotencyKey).where(*self._which).values(carried_out=True, **kept))

    def failed(self) -> None:
        """Nothing was answered: where nothing was written either, it may be sent again."""
        with writing(OPERATOR) as session:
            session.execute(delete(IdempotencyKey).where(*self._which, ~IdempotencyKey.carried_out))

    def refused(self, answer: Answer) -> None:
        """It ended with an error: kept where something was written, such as a failed try; else it may be sent again."""
        self.failed()
        self.answered(answer)


def begin(key: str, fingerprint: str, *, by: Actor) -> Carried | Answer:
    """What is to be carried out now, or the answer that was given. `fingerprint` tells requests apart.

    Raises InvalidInput (the key is none, or was used for another request), UnderWay, Conflict (it was carried out, and
    the answer was lost or is not kept).
    """
    if not key or len(key) > LONGEST or not (key.isascii() and key.isprintable()) or " " in key:
        raise InvalidInput(
            f"Idempotency-Key is a text of 1 to {LONGEST} printable characters, ASCII, no blanks.",
            field="Idempotency-Key",
        )
    mine = IdempotencyKey.user_id == by.id, IdempotencyKey.key == key
    instance = _this.number()
    with writing(OPERATOR) as session:
        session.execute(delete(IdempotencyKey).where(*mine, _is_past()))
        # Looked for first: to insert it would wait for the whole of an operation that has just noted it.
        wanted = select(IdempotencyKey).where(*mine)
        if session.scalars(wanted).one_or_none() is None:
            noted = insert(IdempotencyKey).values(user_id=by.id, key=key, fingerprint=fingerprint, instance=instance)
            if session.execute(noted.on_conflict_do_nothing().returning(IdempotencyKey.key)).one_or_none():
                return Carried(by, key, instance)
        found = session.scalars(wanted).one_or_none()
        if found is None:  # it failed in this very moment
            raise UnderWay("The request with this Idempotency-Key was being carried out: ask again in a moment.")
        if found.fingerprint != fingerprint:
            raise InvalidInput(
                "This Idempotency-Key was used for another request: take a new key for each.", field="Idempotency-Key"
            )
        if not _is_left(session, found):
            return _again(found)
        if _taken_over(session, found, instance):
            return Carried(by, key, instance)
        raise UnderWay("The request with this Idempotency-Key was just taken up: ask again in a moment.")


def clear_past() -> None:
    """Forget the keys of which nobody need know any more."""
    with writing(OPERATOR) as session:
        session.execute(delete(IdempotencyKey).where(_is_past()))


def _is_past() -> ColumnElement[bool]:
    return IdempotencyKey.began_at < func.clock_timestamp() - KEPT


def _is_left(session: Session, found: IdempotencyKey) -> bool:
    """Whether its process died before anything was written."""
    unfinished = found.status is None and not found.carried_out
    return unfinished and found.instance not in claims(session, INSTANCES_LOCK)


def _taken_over(session: Session, found: IdempotencyKey, instance: int) -> bool:
    """Of several that try at once one gets it; a transaction of the dead process is waited for, and counts."""
    which = IdempotencyKey.user_id == found.user_id, IdempotencyKey.key == found.key
    left = IdempotencyKey.instance == found.instance, ~IdempotencyKey.carried_out, IdempotencyKey.status.is_(None)
    ours = update(IdempotencyKey).where(*which, *left).values(instance=instance, began_at=func.clock_timestamp())
    return session.execute(ours.returning(IdempotencyKey.key)).one_or_none() is not None


def _again(found: IdempotencyKey) -> Answer:
    if found.status is not None and found.body is not None:
        return Answer(found.status, found.headers or {}, bytes(found.body))
    if found.status is None and not found.carried_out:
        raise UnderWay("The request with this Idempotency-Key is being carried out: ask again in a moment.")
    raise Conflict(
        "The request with this Idempotency-Key was carried out, and its answer cannot be given again: look at what is "
        "there before you send it with a new key."
    )


class _Instance:
    """This process, as the others know it: a number whose lock it holds, in a connection of its own."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._number = 0
        self._lock = threading.Lock()

    def number(self) -> int:
        """A new one where the connection was lost: what was under way then can be taken over, and is not written
        twice, since `Carried` looks again."""
        with self._lock:
            if self._connection is None or self._connection.engine is not engine() or not self._holds():
                self._open()
            return self._number

    def _holds(self) -> bool:
        assert self._connection is not None
        try:
            self._connection.execute(text("SELECT 1"))
        except DBAPIError:
            return False
        return True

    def _open(self) -> None:
        self._close()
        connection = engine().connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # from the pool, whose connections are for requests
        self._number = secrets.randbelow(LARGEST_ID) + 1
        claim = {"lock": INSTANCES_LOCK, "number": self._number}
        connection.execute(text("SELECT pg_advisory_lock(:lock, :number)"), claim)
        self._connection = connection

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(DBAPIError):  # it was lost, and its lock with it
                self._connection.close()
        self._connection = None


_this = _Instance()
