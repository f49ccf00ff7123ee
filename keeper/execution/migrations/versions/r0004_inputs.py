"""A decision is recorded with all that it was made from, so that it can be made again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Of older decisions what is not known stays empty."""
    for name in ("brief", "wanted", "environment"):
        op.add_column("decisions", sa.Column(name, sa.String(), nullable=False, server_default=""))
