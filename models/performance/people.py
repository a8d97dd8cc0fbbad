"""What people and views are called in reports. A view that its owner keeps to themselves is not named."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

OWN_VIEW = "a private view"


@dataclass(frozen=True)
class Names:
    people: dict[int, str]
    views: dict[int, str]

    def person(self, user_id: int | None) -> str | None:
        return self.people.get(user_id or 0)

    def view(self, view_id: int) -> str | None:
        return (self.views.get(view_id) or OWN_VIEW) if view_id else None


def read(session: Session) -> Names:
    people = session.execute(text("SELECT id, name FROM users"))
    views = session.execute(text("SELECT id, name FROM views WHERE shared"))
    return Names({row.id: row.name for row in people}, {row.id: row.name for row in views})
