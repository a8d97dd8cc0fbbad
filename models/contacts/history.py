"""Older versions of contacts. A statement-level trigger copies every replaced or deleted row, whoever writes it.

The trigger lists the columns: a migration that adds one to contacts adds it to contact_history and makes
`keep_contact_versions` anew (see 0001_foundation.sql).
"""

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Integer, Table, Text, func

from models.contacts.table import Contact
from models.database import Base

HOW = ("update", "delete")

ContactVersion = Table(
    "contact_history",
    Base.metadata,
    Column("version_id", BigInteger, Identity(), primary_key=True),
    Column("replaced_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("replaced_how", Text, nullable=False),
    Column("replaced_by", Integer),
    Column("replaced_import", Integer),
    *(Column(column.name, column.type, nullable=column.name != "id") for column in Contact.__table__.columns),
    Index("contact_history_contact", "id", "version_id"),
    Index("contact_history_import", "replaced_import"),
)
