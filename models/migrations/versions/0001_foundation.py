"""The foundation: contacts with history, industries, users, imports, exports, checks, sign-in, audit."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The driver's own execute: the statements hold colons and percent signs that are not parameters.
    op.get_bind().connection.cursor().execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    raise RuntimeError("The foundation is not taken back: restore a backup instead.")
