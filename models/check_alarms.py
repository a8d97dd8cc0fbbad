"""Mails about rules of data quality that hold no longer: to those who may run the checks and see the rule, once until
it is mended."""

from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import mails
from models.accounts import User
from models.check_results import Verdict, seen_by
from models.check_rules import ALL, About
from models.contacts import quality
from models.mail_texts import Kind
from models.permissions import Actor, Permission, Role
from models.settings import settings

MOST = 20  # rules that a mail names


def newly_broken(verdicts: Sequence[Verdict], before: Sequence[Verdict] | None) -> list[Verdict]:
    """The rules that hold no longer, or never held and are asked for the first time."""
    told = {one.name for one in before or () if not one.success}
    return [one for one in verdicts if not one.success and one.name not in told]


def tell(session: Session, verdicts: Sequence[Verdict], *, before: Sequence[Verdict] | None, by: Actor) -> None:
    """Queue a mail for each person concerned, in the caller's transaction."""
    found = newly_broken(verdicts, before)
    if not found:
        return
    able = [role for role in Role if Permission.CHECKS_RUN in role.permissions]
    active = User.is_active, User.password_hash.is_not(None)
    people = select(User).where(*active, User.role.in_(able)).order_by(User.id)
    for user in session.scalars(people):
        if seen := seen_by(user.actor(), found):
            mails.queue(session, Kind.CHECKS_BROKEN, user, _details(seen), by=by)


def _details(broken: Sequence[Verdict]) -> dict[str, str]:
    lines = [line for one in broken[:MOST] for line in _lines(one)]
    if (more := len(broken) - MOST) > 0:
        lines.append(f"- … and {more} more.")
    rules = "A rule of data quality is" if len(broken) == 1 else f"{len(broken)} rules of data quality are"
    return {"number": rules, "broken": "\n".join(lines)}


def _lines(one: Verdict) -> Iterator[str]:
    """The rule with its numbers, and where its contacts are."""
    details = one.details or {}
    sentence, allowed = str(details.get("sentence", one.name)).removesuffix("."), 1 - details.get("tolerance", ALL)
    number = f"{one.failing:,} of {one.checked:,} {_rows(one)} {'breaks' if one.failing == 1 else 'break'} this"
    share = (
        f", {100 * one.failing / one.checked:.1f} %, and up to {100 * allowed:.0f} % may"
        if allowed
        else ", and none may"
    )
    yield f"- {sentence}: {number}{share}."
    if one.name in quality.named():
        yield f"  {settings().address}/contacts?check={one.name}"


def _rows(one: Verdict) -> str:
    if one.about == About.CONTACTS:
        return "values" if one.field else "contacts"
    return "industries" if one.about == About.INDUSTRIES else "rows"
