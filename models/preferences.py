"""What a person chose for a screen and wants to find again: columns, density. One JSON value under each name."""

from typing import Any

from sqlalchemy import ColumnElement, Integer, Text, delete, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, mapped_column

from models.database import Base, reading, writing
from models.permissions import Actor


class Preference(Base):
    __tablename__ = "preferences"

    user_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[Any] = mapped_column(JSONB)


def get(name: str, *, by: Actor) -> Any:
    """The stored value; None where the person never chose."""
    return _stored(by, Preference.name == name).get(name)


def under(prefix: str, *, by: Actor) -> dict[str, Any]:
    """Name -> value of everything stored under names that begin with `prefix`."""
    return _stored(by, Preference.name.startswith(prefix, autoescape=True))


def _stored(by: Actor, which: ColumnElement[bool]) -> dict[str, Any]:
    if by.id is None:
        return {}
    wanted = select(Preference.name, Preference.value).where(Preference.user_id == by.id, which)
    with reading() as session:
        return {row.name: row.value for row in session.execute(wanted)}


def put(name: str, value: Any, *, by: Actor) -> None:
    """Store `value`, anything JSON holds, in place of what was there. The operator, who is no person, has none."""
    if by.id is None:
        return
    chosen = insert(Preference).values(user_id=by.id, name=name, value=value)
    with writing(by) as session:
        session.execute(chosen.on_conflict_do_update(index_elements=["user_id", "name"], set_={"value": value}))


def forget(name: str, *, by: Actor) -> None:
    """Remove what is stored under that name, if anything."""
    with writing(by) as session:
        session.execute(delete(Preference).where(Preference.user_id == by.id, Preference.name == name))
