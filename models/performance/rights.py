"""What the server does not let this role see or try, and how that is granted: a report says it, and goes on."""

from sqlalchemy import text
from sqlalchemy.orm import Session

_ASKED = """
    SELECT quote_ident(current_user) AS role, quote_ident(current_database()) AS database,
        pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees,
        has_database_privilege(current_database(), 'TEMPORARY') AS tries"""


def missing(session: Session) -> list[str]:
    """Sentences; none where nothing is missing."""
    of = session.execute(text(_ASKED)).one()
    found = []
    if not of.sees:
        found.append(
            "Statements and transactions of other roles are not told. A superuser can change that:"
            f" GRANT pg_monitor TO {of.role};"
        )
    if not of.tries:
        found.append(
            "No index is suggested, since a suggestion is tried on a temporary copy first, and this role may make none."
            f" The database's owner can change that: GRANT TEMPORARY ON DATABASE {of.database} TO {of.role};"
        )
    return found
