"""Older versions of contacts. A statement-level trigger copies every replaced or deleted row, whoever writes it."""

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


def trigger_statements(columns: list[str]) -> list[str]:
    """The DDL for migrations: the trigger functions and triggers over the given columns of contacts.

    `contacts_clock` is a sequence that every statement on contacts moves. A plan remembers its value: while it stands
    still, the plan cannot have become stale. A sequence, so that writers do not wait for each other.
    """
    listed = ", ".join(columns)
    copied = ", ".join(f"old_rows.{column}" for column in columns)
    return [
        "CREATE SEQUENCE contacts_clock",
        f"""
        CREATE FUNCTION keep_contact_versions() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO contact_history (replaced_how, replaced_by, replaced_import, {listed})
            SELECT lower(TG_OP),
                   nullif(current_setting('appointment360.by', true), '')::integer,
                   nullif(current_setting('appointment360.import', true), '')::integer,
                   {copied}
            FROM old_rows;
            PERFORM nextval('contacts_clock');
            RETURN NULL;
        END $$""",
        """
        CREATE FUNCTION move_contacts_clock() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM nextval('contacts_clock');
            RETURN NULL;
        END $$""",
        """CREATE TRIGGER contacts_updated AFTER UPDATE ON contacts REFERENCING OLD TABLE AS old_rows
           FOR EACH STATEMENT EXECUTE FUNCTION keep_contact_versions()""",
        """CREATE TRIGGER contacts_deleted AFTER DELETE ON contacts REFERENCING OLD TABLE AS old_rows
           FOR EACH STATEMENT EXECUTE FUNCTION keep_contact_versions()""",
        """CREATE TRIGGER contacts_inserted AFTER INSERT ON contacts
           FOR EACH STATEMENT EXECUTE FUNCTION move_contacts_clock()""",
        """CREATE TRIGGER contacts_truncated BEFORE TRUNCATE ON contacts
           FOR EACH STATEMENT EXECUTE FUNCTION move_contacts_clock()""",
    ]
