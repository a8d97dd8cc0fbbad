"""People: second factors, links by e-mail, download credits, an audit log that is kept for a while."""

from pathlib import Path

from alembic import op

from models.contacts import emails

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The driver's own execute: the statements may hold colons and percent signs that are not parameters.
    cursor = op.get_bind().connection.cursor()
    cursor.execute(Path(__file__).with_suffix(".sql").read_text())
    # Accounts are looked up by the DNS's spelling of a domain from here on: who had another could not sign in.
    cursor.execute("SELECT id, email FROM users WHERE email ~ '^[ -~]+@.*[^ -~]'")
    for user_id, email in cursor.fetchall():
        cursor.execute("UPDATE users SET email = %s WHERE id = %s", (emails.with_ascii_domain(email), user_id))


def downgrade() -> None:
    raise RuntimeError("Schema versions are not taken back: restore a backup instead.")
