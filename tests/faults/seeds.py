"""How many seeds are played, and what must have happened in them."""

import os
from typing import Final

FIRED: Final = "faults that fired"  # the property of a test's report
READY: Final = "seconds until ready"  # of each start after a kill
IS_LONG: Final = os.environ.get("HYPOTHESIS_PROFILE") == "stress"
SEEDS, KILLED = (950, 50) if IS_LONG else (54, 6)
EXPECTED: Final = (
    "alert channel down",
    "another machine has taken over",
    "answers of two blocks",
    "base fee above the bid",
    "block in the midst of a look",
    "block while the host sleeps",
    "clock of the host jumps",
    "crash after a send",
    "crash after a write",
    "crash before a send",
    "crash before a write",
    "doubled logs",
    "eviction from the mempool",
    "halted and told: kill-switch-gas",
    "halted and told: missed-hedge",
    "halted and told: unreadable",
    "kill -9",
    "lagging node",
    "lost reply",
    "lost reply to a send",
    "lost request",
    "missing logs",
    "node on another branch",
    "reorganisation in the midst of a look",
    "reorganisation of 1 to 4 blocks",
    "reorganisation of 5 to 8 blocks",
    "reorganisation of 9 to 12 blocks",
    "request to a dead node",
    "restart",
    "send that arrived late",
    "take-over in the midst of a look",
    "wrong chain",
)
