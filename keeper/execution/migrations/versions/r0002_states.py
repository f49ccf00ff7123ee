"""Intents have a state and a history of steps: what was mined can be un-confirmed, what was sent replaced."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_CEILING = "50000000000000000"  # wei: what a transaction of the first version may cost when it is replaced


def upgrade() -> None:
    """Every outcome becomes a step. What was signed and has no outcome may be anywhere: its state says that."""
    op.add_column("intents", sa.Column("state", sa.String(), nullable=False, server_default="planned"))
    op.add_column("intents", sa.Column("fee_ceiling", sa.String(), nullable=False, server_default=_CEILING))
    op.create_index("ix_intents_state", "intents", ["state"])
    op.add_column("attempts", sa.Column("block_number", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("attempts", sa.Column("is_empty", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_attempts_tx_hash", "attempts", ["tx_hash"])
    op.create_index("ix_attempts_block_number", "attempts", ["block_number"])
    op.create_table(
        "steps",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("intent_id", sa.Integer(), sa.ForeignKey("intents.id"), nullable=False, index=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("result", sa.String()),
        sa.Column("tx_hash", sa.String()),
        sa.Column("block_number", sa.Integer()),
        sa.Column("block_hash", sa.String()),
        sa.Column("gas_used", sa.Integer()),
        sa.Column("gas_price", sa.String()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.execute(
        "INSERT INTO steps (intent_id, state, detail, result, tx_hash, block_number, block_hash, gas_used, gas_price,"
        " created_at) SELECT intent_id, CASE WHEN result IN ('confirmed', 'failed') THEN 'mined' ELSE 'ended' END,"
        " detail, result, tx_hash, block_number, block_hash, gas_used, gas_price, created_at"
        " FROM outcomes ORDER BY intent_id"
    )
    op.execute(
        "INSERT INTO steps (intent_id, state, detail, created_at)"
        " SELECT id, CASE WHEN EXISTS (SELECT 1 FROM attempts WHERE intent_id = intents.id)"
        " THEN 'ambiguous' ELSE 'planned' END, 'taken over from the first version of the journal', created_at"
        " FROM intents WHERE NOT EXISTS (SELECT 1 FROM outcomes WHERE intent_id = intents.id) ORDER BY id"
    )
    op.execute("UPDATE intents SET state = (SELECT state FROM steps WHERE intent_id = intents.id)")
    op.drop_table("outcomes")
    op.drop_table("schema_version")
