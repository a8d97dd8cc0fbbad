"""How often something may be asked for, counted in the database so that it holds over instances."""

from datetime import datetime

from sqlalchemy import DateTime, Text
from sqlalchemy.orm import Mapped, mapped_column

from models.database import Base


class RequestLimit(Base):
    """The generic cell rate algorithm needs one moment for each key: when the next request would be due."""

    __tablename__ = "request_limits"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012
