"""What two machines share: the lease of a vault, what the kill switch counts, and quotes. Orders become official."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Orders and balances were made beside the journal when they were first needed: where they are, they stay."""
    there = sa.inspect(op.get_bind()).get_table_names()
    if "orders" not in there:
        op.create_table(
            "orders",
            sa.Column("id", sa.Integer(), primary_key=True),
            sa.Column("order", sa.String(), nullable=False),
            sa.Column("cause", sa.String(), nullable=False),
            sa.Column("stands", sa.Boolean(), nullable=False),
            sa.Column("reason", sa.String(), nullable=False),
            sa.Column("created_at", sa.DateTime(), nullable=False),
        )
    if "balances" not in there:
        op.create_table(
            "balances",
            sa.Column("id", sa.Integer(), primary_key=True),
            sa.Column("timestamp", sa.Integer(), nullable=False, index=True),
            sa.Column("wei", sa.String(), nullable=False),
            sa.Column("spent", sa.String(), nullable=False),
        )
    op.create_table(
        "troubles",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False, index=True),
        sa.Column("timestamp", sa.Integer(), nullable=False),
        sa.Column("holds", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("chain_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("vault", sa.String(), primary_key=True),
        sa.Column("machine", sa.String(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "quotes",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("asked_at", sa.Integer(), nullable=False, index=True),
        sa.Column("taker", sa.String(), nullable=False, index=True),
        sa.Column("series", sa.String(), nullable=False),
        sa.Column("vault_sells", sa.Boolean(), nullable=False),
        sa.Column("size", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("refusal", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), unique=True),
        sa.Column("nonce", sa.String()),
        sa.Column("expires_at", sa.Integer()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
