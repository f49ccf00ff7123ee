"""Several accounts write to one journal: whose nonces an intent uses is recorded with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Until now there was one account, the keeper's, and its address was not written: `Journal.adopt` fills it in."""
    op.add_column("intents", sa.Column("account", sa.String(), nullable=False, server_default=""))
