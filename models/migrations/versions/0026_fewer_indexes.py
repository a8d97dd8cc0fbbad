"""Fewer indexes on contacts."""

from pathlib import Path

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

serves_from = "0024"


def upgrade() -> None:
    # The driver's own execute: the statements may hold colons and percent signs that are not parameters.
    op.get_bind().connection.cursor().execute(Path(__file__).with_suffix(".sql").read_text())


def downgrade() -> None:
    raise RuntimeError("Schema versions are not taken back: restore a backup instead.")
