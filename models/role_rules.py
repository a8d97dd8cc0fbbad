"""What an administrator asks of everybody in a role: a second factor."""

from datetime import datetime

from sqlalchemy import Boolean, DateTime, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.database import Base


class RoleRule(Base):
    __tablename__ = "role_rules"

    role: Mapped[str] = mapped_column(Text, primary_key=True)
    second_factor: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    changed_by: Mapped[int | None]
