"""People for tests, made the way they come to be: an invitation, which they accept."""

from models import account_links, link_tokens, users
from models.accounts import DEFAULT_DOWNLOAD_LIMIT
from models.database import writing
from models.link_tokens import Purpose
from models.permissions import OPERATOR, Actor, Role
from models.users import User

PASSWORD = "correct horse battery"


def person(
    *,
    email: str,
    name: str,
    role: Role,
    password: str = PASSWORD,
    download_limit: int | None = DEFAULT_DOWNLOAD_LIMIT,
    column_allowed: tuple[str, ...] | None = None,
    by: Actor = OPERATOR,
) -> User:
    """Somebody who was invited and has chosen `password`."""
    invited = users.invite(
        email=email, name=name, role=role, download_limit=download_limit, column_allowed=column_allowed, by=by
    )
    account_links.accept(link_of(invited.user), password, address=None)
    return users.find(invited.user.email, by=OPERATOR)


def link_of(user: User, purpose: Purpose = Purpose.INVITATION, email: str | None = None) -> str:
    """The token of a link as it would be mailed to that person."""
    with writing(OPERATOR) as session:
        return link_tokens.make(session, user.id, purpose, email=email, by=None)
