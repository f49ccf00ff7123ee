"""Quotes: what one takes once the block's view is ready, and what the view takes."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from keeper.domain.policy import Policy
from keeper.domain.series import UNDERLYINGS
from keeper.domain.snapshot import Snapshot, Venue, VenueKind
from keeper.domain.units import DAY, WAD, YEAR
from keeper.quoting.quote import quote
from keeper.quoting.terms import Quote, Request
from keeper.quoting.view import MarketSurface, OptionBookState, View, prepare
from keeper.risk.scenarios import Scenarios
from tests.bench.results import Row, medians, row
from tests.keeper.quoting.vaults import MIN_FILL, SHORT
from tests.keeper.risk.books import NOW, hedge, option, reading, smile, snapshot_of

_SPOTS = (3_000.0, 90_000.0)
_ROUNDS = 10  # of all 32 series, both sides, two sizes
_SIZES = (500.0, 500_000.0)  # USDC of spot: what is let stand at once, and what has to be cut to size


def run() -> list[Row]:
    """Every series of a full book, bought and sold, small and too large."""
    snapshot, scenarios = _book(), _scenarios()
    view = _view(snapshot, scenarios)
    requests = [
        Request(p.series, vault_sells, round(size / _SPOTS[p.series.underlying] * WAD))
        for p in snapshot.book
        for vault_sells in (True, False)
        for size in _SIZES
    ]
    policy, taken, quoted, cut = Policy(), [], 0, 0
    for _ in range(_ROUNDS):
        for request in requests:
            start = time.perf_counter()
            answer = quote(request, snapshot, view, policy)
            taken.append(1e3 * (time.perf_counter() - start))
            quoted += isinstance(answer, Quote)
            cut += isinstance(answer, Quote) and answer.limit is not None
    assert quoted > 0.8 * len(taken), "most requests are refused: that is no benchmark"
    assert cut > 0.2 * len(taken), "no size is searched for: that is no benchmark"
    name = "quote, 32 series, 5,000 scenarios"
    ready = medians({"prepare": lambda: _view(snapshot, scenarios)}, 10)["prepare"]
    return [
        row(f"{name}: median", float(np.median(taken)), "ms"),
        row(f"{name}: 99th percentile of {len(taken):,}", float(np.quantile(taken, 0.99)), "ms", ours_goal=50.0),
        row("what quotes of a block share, once, 32 series, 5,000 scenarios", 1e3 * ready, "ms"),
    ]


def _view(snapshot: Snapshot, scenarios: Scenarios) -> View:
    market = [MarketSurface.of_posted(snapshot, u) for u in range(len(UNDERLYINGS))]
    forecasts = {(p.series.underlying, p.series.expiry): 0.5 for p in snapshot.book}
    return prepare(snapshot, market, forecasts, OptionBookState(MIN_FILL, WAD), scenarios)


def _scenarios() -> Scenarios:
    moves = np.random.default_rng(1).standard_t(4, (5_000, 3)) * [0.03, 0.025, 0.04]
    return Scenarios(1 / 365, moves[:, :2], moves[:, 2:])


def _book() -> Snapshot:
    """32 series within the vault's limits, half of them sold, with a short venue for each underlying."""
    terms = [(u, NOW + days * DAY) for u in range(len(UNDERLYINGS)) for days in (9, 16, 30, 44)]
    shapes = ((0.9, False, -6_000.0), (0.96, False, -6_000.0), (1.04, True, -6_000.0), (1.1, True, 3_000.0))
    book = [
        option(u, is_call, expiry, _SPOTS[u] * m, size / _SPOTS[u])
        for u, expiry in terms
        for m, is_call, size in shapes
    ]
    surface = [(u, expiry, smile(0.36 * (expiry - NOW) / YEAR)) for u, expiry in terms]
    found = snapshot_of(book, surface, [reading(s) for s in _SPOTS], [hedge(u, 0.0, s) for u, s in enumerate(_SPOTS)])
    venues = tuple(Venue(v.index, VenueKind.AAVE_V3_SHORT, v.address, v.state, (), SHORT) for v in found.venues)
    return replace(found, venues=venues, vault=replace(found.vault, loss_budget=2 * WAD // 1000))
