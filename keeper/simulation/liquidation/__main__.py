"""`python -m keeper.simulation.liquidation [FILE]`: run the three stories and draw docs/liquidation.svg from them."""

from __future__ import annotations

import sys
from pathlib import Path

from keeper.chain.artifacts import PROJECT
from keeper.simulation.fork import Fork
from keeper.simulation.liquidation.chart import draw
from keeper.simulation.liquidation.story import GAPS, Stage, Story, tell

PICTURE = PROJECT / "docs" / "liquidation.svg"


def stories(url_of_upstream: str | None = None) -> tuple[Story, ...]:
    """The three books, each on the same deployment as it was before the others."""
    told = []
    with Fork(url_of_upstream) as fork:
        stage = Stage(fork.w3, fork.url)
        for book in GAPS:
            kept = stage.market.rpc.call("evm_snapshot")
            told.append(tell(stage, book, lambda line: print(line, flush=True)))
            stage.market.rpc.call("evm_revert", kept)
    return tuple(told)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    target.write_text(draw(stories()))
    print(target)
