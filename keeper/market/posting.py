"""What a vol poster goes by: the market's option chain, the slices that it wants, and what VolOracle takes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from keeper.chain.abi import function
from keeper.chain.deployments import Deployment
from keeper.chain.multicall import Batch
from keeper.chain.rpc import Connection, Header
from keeper.domain.series import UNDERLYINGS, Position
from keeper.domain.snapshot import VolSlice
from keeper.domain.times import utc_minute
from keeper.domain.units import MINUTE, WAD
from keeper.errors import ConfigError, KeelError
from keeper.market.option_chain import OptionChain
from keeper.market.vol_oracle import read_oracle
from keeper.pricing.calibration import Calibration, calibrate
from keeper.pricing.errors import PricingError
from keeper.pricing.posting import Planned, half_spreads, plan, targets, threshold

OLDEST: Final = 10 * MINUTE  # of quotes
PATIENCE: Final = 2 * MINUTE  # from the newest block until a post is mined
POST_GAS: Final = 160_000  # of a post of a newer slice
_NOTHING: Final = "Nothing was sent."


def require_young(chain: OptionChain, source: str, now: int) -> None:
    """
    Raises:
        KeelError: the quotes are too old at the newest block's time ``now``, or from after it.
    """
    if abs(now - chain.quoted_at) > OLDEST:
        raise KeelError(
            f"The quotes of {source} are of {utc_minute(chain.quoted_at)} UTC, the newest block of {utc_minute(now)}.",
            kept=_NOTHING,
            todo=f"Record them again: they may be {OLDEST // MINUTE} minutes old.",
        )


def calibration_of(chain: OptionChain, source: str) -> Calibration:
    """The surface that fits the quotes.

    Raises:
        ConfigError: they make none.
    """
    try:
        return calibrate(chain.quotes)
    except PricingError as error:
        raise ConfigError(f"{source} makes no surface: {error}.", kept=_NOTHING) from None


def wanted_slices(
    connection: Connection,
    deployment: Deployment,
    underlying: int,
    chain: OptionChain,
    calibration: Calibration,
    block: Header,
    also: Iterable[int] = (),
) -> dict[int, VolSlice]:
    """What the market says of each expiry that has a slice or a listed series, or is asked for; those with a slice
    first: a new one is measured from them.

    Raises:
        SnapshotError, RpcError, RpcUnavailableError: as reading the chain does.
    """
    batch = Batch()
    oracle = batch.add("VolOracle", deployment.address("VolOracle"), function("VolOracle", "expiries"), underlying)
    book = batch.add("OptionBook", deployment.address("OptionBook"), function("OptionBook", "live_book"))
    batch.run(connection, block)
    known = set(oracle.value)
    listed = {s.expiry for s in (Position.from_slot(slot).series for slot in book.value) if s.underlying == underlying}
    earliest = max(block.timestamp, chain.quoted_at) + PATIENCE
    expiries = sorted(expiry for expiry in known | listed | set(also) if expiry > earliest)
    expiries.sort(key=lambda expiry: expiry not in known)
    return targets(calibration.surface, half_spreads(calibration), chain.spot, chain.quoted_at, expiries)


def worth_at(connection: Connection, deployment: Deployment, block: Header) -> Callable[[VolSlice], int]:
    """The smallest change of volatility (WAD) that is worth a post of a slice, at a block's base fee.

    Raises:
        SnapshotError, RpcError, RpcUnavailableError: as reading the chain does.
    """
    batch = Batch()
    budgets = batch.add("OptionBook", deployment.address("OptionBook"), function("OptionBook", "budgets"))
    # Neither is there while prices are stale: a surface is posted all the same.
    assessed = batch.add("Vault", deployment.address("Vault"), function("Vault", "assessment"), optional=True)
    ether = batch.add(
        "PriceOracle",
        deployment.address("PriceOracle"),
        function("PriceOracle", "read"),
        UNDERLYINGS.index("ETH"),
        optional=True,
    )
    batch.run(connection, block)
    nav = 0.0 if assessed.value is None else assessed.value[1] / WAD
    stake = budgets.value[0] / WAD * nav  # vega that quotes may trade at once, USDC per 1.0 of volatility
    price = 0.0 if ether.value is None else ether.value[0] / WAD
    gas_cost = POST_GAS * block.base_fee / WAD * price
    return lambda target: threshold(target.half_spread, gas_cost, stake)


def plans(
    connection: Connection,
    deployment: Deployment,
    underlying: int,
    wanted: Mapping[int, VolSlice],
    worth: Callable[[VolSlice], int],
    block: Header,
    patience: int = PATIENCE,
) -> tuple[tuple[Planned, VolSlice | None], ...]:
    """What to post of each expiry on top of a block, and what is posted; one post changes the others' plans.

    Raises:
        SnapshotError, RpcError, RpcUnavailableError: as reading the chain does.
    """
    oracle = read_oracle(connection, deployment, underlying, block)
    found = []
    for expiry, target in wanted.items():
        held = oracle.held_at(expiry)
        planned = plan(oracle, expiry, target, block.timestamp, block.timestamp + patience, worth(target))
        found.append((planned, held.posted if held else None))
    return tuple(found)
