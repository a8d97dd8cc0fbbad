"""The foundation: contacts with history, industries, users, imports, exports, checks, sign-in, audit."""

from alembic import op

from models.contacts.history import trigger_statements
from models.contacts.table import Contact
from models.database import Base

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA IF NOT EXISTS staging")
    op.execute(
        """
        CREATE FUNCTION contact_search_text(first_name text, last_name text, title text, company text, email text)
        RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN coalesce(first_name, '') || ' ' || coalesce(last_name, '') || ' ' || coalesce(title, '') || ' '
               || coalesce(company, '') || ' ' || coalesce(email, '')"""
    )
    Base.metadata.create_all(op.get_bind())
    for statement in trigger_statements([column.name for column in Contact.__table__.columns]):
        op.execute(statement)
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the audit log only grows';
        END $$"""
    )
    op.execute(
        """CREATE TRIGGER audit_log_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
           FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"""
    )


def downgrade() -> None:
    raise RuntimeError("The foundation is not taken back: restore a backup instead.")
