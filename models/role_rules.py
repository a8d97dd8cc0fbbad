"""What an administrator asks of everybody in a role: a second factor."""

from datetime import datetime

from sqlalchemy import Boolean, DateTime, Text, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import accounts, audit, second_factors, sign_in_sessions
from models.accounts import User
from models.audit import Event
from models.database import Base, reading, writing
from models.permissions import Actor, Permission, Role, require


class RoleRule(Base):
    __tablename__ = "role_rules"

    role: Mapped[str] = mapped_column(Text, primary_key=True)
    second_factor: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    changed_by: Mapped[int | None]


def second_factor_required(role: Role, *, by: Actor) -> bool:
    """Whether everybody in the role signs in with a second factor. Raises NotAllowed."""
    require(by, Permission.USERS_MANAGE)
    with reading() as session:
        return requires(session, role)


def requires(session: Session, role: str) -> bool:
    return bool(session.scalar(select(RoleRule.second_factor).where(RoleRule.role == role)))


def require_second_factor(role: Role, required: bool, *, by: Actor) -> int:
    """Ask for a second factor in the role, or no longer; returns how many people were signed out for want of one.

    They set one up when they sign in the next time. Raises NotAllowed.
    """
    require(by, Permission.SETTINGS_CHANGE)
    with writing(by) as session:
        accounts.lock(session)  # nobody signs in, or comes into the role, between the rule and the ends
        accounts.require_still(session, by, Permission.SETTINGS_CHANGE)
        before = requires(session, role)
        values = {"second_factor": required, "changed_at": func.now(), "changed_by": by.id}
        rule = insert(RoleRule).values(role=role, **values)
        session.execute(rule.on_conflict_do_update(index_elements=["role"], set_=values))
        without = []
        if required:
            query = select(User.id).where(User.role == role, User.is_active, ~second_factors.exists_for(User.id))
            without = list(session.scalars(query))
        ended = sum(sign_in_sessions.end_of(session, user_id) > 0 for user_id in without)
        audit.write(
            session,
            Event.ROLE_RULE_CHANGED,
            f"role {role.value}",
            by=by,
            before={"second_factor": before},
            after={"second_factor": required},
            signed_out=ended,
        )
    return ended


def enforce(session: Session, user: User) -> None:
    """In the caller's transaction: who is in a role that asks for a second factor, and has none, is signed out."""
    if requires(session, user.role) and not second_factors.has_one(session, user.id):
        sign_in_sessions.end_of(session, user.id)
