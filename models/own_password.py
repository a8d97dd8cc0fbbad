"""The person behind a session shows that it is still them, by their password."""

from models import accounts, passwords, sign_in_failures
from models.accounts import User
from models.database import reading, writing
from models.permissions import Actor

WRONG = "That is not your current password."


def require(password: str, *, by: Actor) -> None:
    """A wrong one counts as a failed sign-in, with the same waits: a stolen session may not try them all.

    Raises NotAllowed (SignInRefused for a wrong one, or while the account waits).
    """
    user_id = accounts.require_self(by)
    with reading() as session:
        user = session.get_one(User, user_id)
    attempt = sign_in_failures.begin(user.email, by.address)
    if not passwords.matches(password, user.password_hash):
        raise sign_in_failures.refusal(user.email, by.address, wrong=WRONG, reason="no match")
    with writing(by) as session:
        sign_in_failures.forgive(session, attempt)
