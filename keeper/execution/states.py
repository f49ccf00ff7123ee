"""The states of an intent and which may follow which: the whole state machine, in one place.

    planned ── signed ── sent ── mined ── final          as it should be
               any open state ── ambiguous, dropped, replaced, sent, mined, ended
    mined ──── unconfirmed                               a reorganisation took its block away: open again
    ended ──── mined                                     it turned up nevertheless

The journal refuses every other step, and a step from a state that another process has changed meanwhile.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where an intent is.

    Attributes:
        PLANNED: Nothing is signed: the call is given up at the next start.
        SIGNED: Its first transaction is stored. Whether a node has it is not known: it is looked up, and sent as it is.
        SENT: A node took the newest transaction.
        AMBIGUOUS: The newest transaction was handed to a node, and the reply was lost.
        REPLACED: Another transaction with the same nonce and higher fees is stored, of the call or of nothing at all.
        DROPPED: No node knows any of its transactions.
        UNCONFIRMED: It was mined, and a reorganisation took the block away.
        MINED: A transaction of it is in a block, or the empty one that took its nonce.
        FINAL: So deep that it stays there.
        ENDED: Nothing of it was mined: it was refused, superseded or abandoned.
    """

    PLANNED = "planned"
    SIGNED = "signed"
    SENT = "sent"
    AMBIGUOUS = "ambiguous"
    REPLACED = "replaced"
    DROPPED = "dropped"
    UNCONFIRMED = "unconfirmed"
    MINED = "mined"
    FINAL = "final"
    ENDED = "ended"


_SIGNED: Final = frozenset(
    {State.SENT, State.AMBIGUOUS, State.REPLACED, State.DROPPED, State.MINED, State.ENDED}
)  # what may follow once there is a transaction

FOLLOWING: Final[dict[State, frozenset[State]]] = {
    State.PLANNED: frozenset({State.SIGNED, State.ENDED}),
    State.SIGNED: _SIGNED,
    State.SENT: _SIGNED,
    State.AMBIGUOUS: _SIGNED,
    State.REPLACED: _SIGNED,
    State.DROPPED: _SIGNED,
    State.UNCONFIRMED: _SIGNED,
    State.MINED: frozenset({State.MINED, State.UNCONFIRMED, State.FINAL}),  # again: in another block
    State.FINAL: frozenset(),
    State.ENDED: frozenset({State.MINED}),
}

OPEN: Final = frozenset(
    {
        State.PLANNED,
        State.SIGNED,
        State.SENT,
        State.AMBIGUOUS,
        State.REPLACED,
        State.DROPPED,
        State.UNCONFIRMED,
    }
)  # of these the end is not known, and nothing new is decided
