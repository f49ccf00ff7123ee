"""What limits people now: the vault's mode and why, how much can leave or come at once, and which limit says so."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from keeper.chain.abi import function, signature
from keeper.chain.multicall import Answer, Batch
from keeper.chain.rpc import Connection
from keeper.domain.series import UNDERLYINGS, Position
from keeper.domain.snapshot import Assessment, Mode, VenueKind
from keeper.domain.times import utc_second
from keeper.domain.units import HOUR, USDC, WAD, WAD_PER_USDC_UNIT
from keeper.market.reader import CONTRACTS, MODES

if TYPE_CHECKING:
    from web3 import Web3

    from keeper.chain.deployments import Deployment
    from keeper.chain.rpc import Header

OVERDUE: Final = 48 * HOUR  # CircuitBreaker's
_VIRTUAL: Final = 10**12  # shares that the Vault adds to its supply
_UNLIMITED: Final = 2**256 - 1
_DECIMALS: Final = signature("decimals()(uint8)")


@dataclass(frozen=True, slots=True)
class Flow:
    """Deposits or instant exits of a day, shares of NAV: what is left, the most there can be, what comes back in a day.

    ``counts`` is whether it is limited now: it is while an option or a hedge is open.
    """

    left: float
    capacity: float
    per_day: float
    counts: bool


@dataclass(frozen=True, slots=True)
class Gates:
    """USDC and shares in whole units, times in seconds UTC; None where NAV would have to be known and is not.

    Attributes:
        because: Why it is in that mode; empty where that is normal.
        settle_first: An expired series has its price and is not settled: nobody comes or goes before it is.
        surface_too_old: Of an option that is held or owed: nobody comes.
        free: What is idle or can be had from the lending venue at once (``withdrawable``), less what is owed.
        exits: What each limit on instant exits allows, by its name; the least of them is what can leave.
        deposits: What can be deposited; None also where there is no limit.
        utilisation: Initial margin as a share of NAV; beyond ``max_utilisation`` only the queue pays.
        due_shares: Of closed epochs of the queue, not paid; ``due_since`` is the close of the oldest, or None.
        fallen: How far the price of a share is below its highest, a share of that; ``kill_drawdown`` latches.
        frozen_price: What a share would be paid if NAV could not be computed, USDC; last known at ``known_at``.
        vega: What may be traded, share of NAV.
        escrow: Makers' collateral by token.
        funded: Payouts that wait for their holders; ``shortfall`` is what was lacking when it was declared.
    """

    mode: Mode
    because: tuple[str, ...]
    settle_first: bool
    surface_too_old: bool
    idle: float
    owed: float
    free: float
    withdrawable: float
    exits: dict[str, float] | None
    exit_flow: Flow
    deposits: float | None
    deposit_flow: Flow
    utilisation: float | None
    max_utilisation: float
    due_shares: float
    due_since: int | None
    fallen: float
    kill_drawdown: float
    frozen_price: float
    known_at: int
    vega: Flow
    escrow: dict[str, float]
    funded: float
    shortfall: float
    short_since: int | None
    time: int

    @property
    def exit_limit(self) -> float | None:
        """USDC that can leave at once."""
        return None if self.exits is None else min(self.exits.values())

    @property
    def binding(self) -> str | None:
        """The limit that says so."""
        return None if self.exits is None else min(self.exits, key=self.exits.__getitem__)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def read_gates(connection: Connection, deployment: Deployment, block: Header | None = None) -> Gates:
    """They after a block, by default the newest; also while no price is known.

    Raises:
        SnapshotError: a contract does not answer what it always can.
        RpcError, RpcUnavailableError: the node could not say.
    """
    block = block or connection.header()
    batch = Batch()

    def ask(contract: str, name: str, *args: Any, optional: bool = False) -> Answer:
        view = function(contract, name)
        return batch.add(contract, deployment.address(contract), view, *args, optional=optional)

    mode, idle, owed = ask("Vault", "mode"), ask("Vault", "idle"), ask("Vault", "owed")
    assessment = ask("Vault", "assessment", optional=True)
    supply = ask("Vault", "effective_supply", optional=True)
    deposits = ask("Vault", "maxDeposit", deployment.address("Vault"))
    prices = [ask("PriceOracle", "read", u, optional=True) for u in range(len(UNDERLYINGS))]
    underlyings = ask("PriceOracle", "count")
    latched, thresholds = ask("CircuitBreaker", "latched"), ask("CircuitBreaker", "thresholds")
    high_water, last_good = ask("CircuitBreaker", "high_water"), ask("CircuitBreaker", "last_good")
    deposit_left, exit_left = ask("CircuitBreaker", "deposit_budget"), ask("CircuitBreaker", "exit_budget")
    frozen = ask("CircuitBreaker", "preview_exit_frozen", WAD)
    due_shares, due_since = ask("RedemptionQueue", "shares_due"), ask("RedemptionQueue", "due_since")
    book, vega_left = ask("OptionBook", "live_book"), ask("OptionBook", "vega_budget")
    vega = ask("OptionBook", "budgets")
    unplaced = [ask("OptionBook", "unplaced", u) for u in range(len(UNDERLYINGS))]
    funded, shortfall = ask("ClearingHouse", "funded"), ask("ClearingHouse", "shortfall")
    short_since = ask("ClearingHouse", "short_since")
    tokens = [ask("ClearingHouse", "tokens", u, optional=True) for u in range(len(UNDERLYINGS))]
    usdc = ask("ClearingHouse", "USDC")
    venues = [
        (venue, batch.add(name, venue.address, function(name, "state"), WAD, optional=True))
        for venue in deployment.venues
        for name in (CONTRACTS[venue.kind],)
    ]
    withdrawable = [
        batch.add("AaveV3Lending", venue.address, function("AaveV3Lending", "withdrawable"), optional=True)
        for venue in deployment.venues
        if venue.kind is VenueKind.AAVE_V3_LENDING
    ]
    batch.run(connection, block)

    listed = [(symbol, token.value) for symbol, token in zip(UNDERLYINGS, tokens, strict=True) if token.value]
    escrow = _escrow(connection, deployment, block, [("USDC", usdc.value), *listed])
    lent = sum(answer.value or 0 for answer in withdrawable)
    free = max(0, idle.value + lent - owed.value)
    t = thresholds.value
    a = None if assessment.value is None else Assessment(*assessment.value)
    price, _, known_at = last_good.value
    counts = a is None or a.gross > 0 or any(Position.from_slot(slot).size_wad for slot in book.value)
    exits = None
    if a is not None and supply.value is not None:
        exits = _exits(a, free, due_shares.value, supply.value + _VIRTUAL, t[2], exit_left.value if counts else None)
    since, is_overdue = due_since.value, due_since.value > 0 and block.timestamp > due_since.value + OVERDUE
    fallen = max(0.0, 1 - price / high_water.value) if high_water.value else 0.0
    silent = [f"{v.kind} of {UNDERLYINGS[v.underlying]}" for v, state in venues if state.value is None]
    unpriced = [
        f"no price of {UNDERLYINGS[u]} ({prices[u].reason})" for u in range(underlyings.value) if not prices[u].value
    ]
    because: list[str] = []
    if a is None:
        because += [*unpriced, *(f"{venue} does not answer" for venue in silent)] or [assessment.reason]
    if latched.value:
        because.append("latched by the guardian, or by a fall of the share price; the governor unlatches")
    if a is not None and a.venue_failed:
        because.append(f"a venue does not answer: {', '.join(silent) or 'unknown'}")
    if any(units.value for units in unplaced):
        because.append("makers have lost collateral that no venue holds yet; anyone calls `place` once one can")
    if a is not None and a.nav_bid < a.initial:
        because.append(f"NAV at bid is {(a.initial - a.nav_bid) / WAD:,.2f} USDC below initial margin")
    if is_overdue:
        because.append(f"the queue's shares of the close at {utc_second(since)} are not paid after 48 hours")
    if not latched.value and a is not None and fallen * WAD > t[0]:
        because.append(f"the share price is {fallen:.2%} below its highest")
    return Gates(
        mode=MODES[mode.value],
        because=tuple(because),
        settle_first=a is not None and a.unfixed,
        surface_too_old=a is not None and a.stale,
        idle=idle.value / USDC,
        owed=owed.value / USDC,
        free=free / USDC,
        withdrawable=lent / USDC,
        exits=exits,
        exit_flow=Flow(exit_left.value / WAD, t[5] / WAD, t[6] / WAD, counts),
        deposits=None if a is None or deposits.value == _UNLIMITED else deposits.value / USDC,
        deposit_flow=Flow(deposit_left.value / WAD, t[3] / WAD, t[4] / WAD, counts),
        utilisation=None if a is None or a.nav_bid <= 0 else a.initial / a.nav_bid,
        max_utilisation=t[2] / WAD,
        due_shares=due_shares.value / WAD,
        due_since=since or None,
        fallen=fallen,
        kill_drawdown=t[0] / WAD,
        frozen_price=frozen.value / USDC,
        known_at=known_at,
        vega=Flow(vega_left.value / WAD, vega.value[0] / WAD, vega.value[1] / WAD, True),
        escrow=escrow,
        funded=funded.value / USDC,
        shortfall=shortfall.value / USDC,
        short_since=short_since.value or None,
        time=block.timestamp,
    )


def gates_of(w3: Web3, deployment: Deployment) -> Gates:
    """They at the newest block of the node that a web3 is connected to. Raises as `read_gates` does."""
    return read_gates(Connection(str(w3.provider.endpoint_uri)), deployment)  # type: ignore[attr-defined]


def _exits(a: Assessment, free: int, due: int, shares: int, most: int, flow_left: int | None) -> dict[str, float]:
    """What each limit of CircuitBreaker.exit_limit allows, USDC. ``flow_left`` is None where a day is not limited."""
    nav_bid, initial = a.nav_bid, a.initial
    margin = _to_usdc(nav_bid - initial)
    worth = -(-due * (_to_usdc(nav_bid) + 1) // shares)
    before_queue = min(free, margin)
    limits = {"cash": free, "margin": margin}
    if worth:
        limits["queue"] = before_queue - min(before_queue, worth)
    limits["utilisation"] = _to_usdc(nav_bid - initial * WAD // most)
    if flow_left is not None:
        limits["day"] = max(nav_bid, 0) * flow_left // WAD // WAD_PER_USDC_UNIT
    return {name: limit / USDC for name, limit in limits.items()}


def _escrow(
    connection: Connection, deployment: Deployment, block: Header, tokens: list[tuple[str, str]]
) -> dict[str, float]:
    batch, house = Batch(), deployment.address("ClearingHouse")
    held = {symbol: batch.add("ClearingHouse", house, function("ClearingHouse", "escrow"), t) for symbol, t in tokens}
    units = {symbol: batch.add(symbol, token, _DECIMALS) for symbol, token in tokens}
    batch.run(connection, block)
    return {symbol: held[symbol].value / 10 ** units[symbol].value for symbol, _ in tokens if held[symbol].value}


def _to_usdc(wad: int) -> int:
    return max(wad, 0) // WAD_PER_USDC_UNIT


# ---------------------------------------------------------------- in words


def facts(gates: Gates) -> list[tuple[str, str]]:
    """For a terminal: what it is, a line each."""
    told = [("mode", _mode(gates))]
    if gates.settle_first:
        told.append(("", "an expired series has its price: nobody comes or goes until it is settled"))
    told += [("leaving at once", _leaving(gates)), ("depositing", _depositing(gates))]
    if gates.utilisation is not None:
        most = f"beyond {gates.max_utilisation:.0%} only the queue pays"
        told.append(("utilisation", f"initial margin is {gates.utilisation:.1%} of NAV at bid; {most}"))
    fall = f"{gates.fallen:.2%} below its highest; {gates.kill_drawdown:.0%} stop new business"
    told.append(("share price", fall))
    told.append(("vega to trade", _flow(gates.vega)))
    if gates.escrow:
        held = ", ".join(f"{amount:,.4f} {symbol}" for symbol, amount in gates.escrow.items())
        told.append(("makers' collateral", held))
    if gates.funded or gates.shortfall or gates.short_since:
        told.append(("payouts", _payouts(gates)))
    return told


def exit_reason(gates: Gates) -> str:
    """Why no more can leave at once, as a clause."""
    exits, flow = gates.exits or {}, gates.exit_flow
    return {
        "cash": f"the vault's other cash is in hedges; {gates.free:,.2f} USDC are free",
        "margin": "the rest of the vault's cash is needed as margin",
        "queue": f"{gates.due_shares:,.2f} shares that wait in the queue come first",
        "utilisation": f"the rest would leave initial margin above {gates.max_utilisation:.0%} of NAV",
        "day": f"{exits.get('day', 0):,.2f} USDC are what is left of a day's exits, {flow.capacity:.0%} of NAV;"
        f" {flow.per_day:.0%} a day come back",
    }[gates.binding or "cash"]


def closed_reason(gates: Gates) -> str:
    """Why nobody can come or go, as a clause; empty where that is not so."""
    if gates.settle_first:
        return "an expired series has its price and is not settled: anyone can, the keeper does"
    if gates.mode is Mode.FROZEN:
        return f"it is frozen, {'; '.join(gates.because)}"
    return ""


def _mode(gates: Gates) -> str:
    return gates.mode + (f": {'; '.join(gates.because)}" if gates.because else "")


def _leaving(gates: Gates) -> str:
    if gates.exits is None:
        known = f"last known at {utc_second(gates.known_at)}"
        return f"`keel redeem --frozen` pays up to {gates.frozen_price:.6f} USDC a share, 90 % of what was {known}"
    if gates.settle_first:
        return "closed"
    reason = _flow(gates.exit_flow) if gates.binding == "day" else exit_reason(gates)
    return f"{gates.exit_limit:,.2f} USDC: {reason}"


def _depositing(gates: Gates) -> str:
    if gates.mode is not Mode.NORMAL or gates.settle_first:
        return "closed"
    if gates.surface_too_old:
        return "closed: a volatility surface is older than two hours"
    if gates.deposits is None:
        return "no limit while no option and no hedge is open"
    if not gates.deposits:
        return "closed: a share is worth less than a tenth of its first price, or nothing is left of a day's deposits"
    return f"{gates.deposits:,.2f} USDC: {_flow(gates.deposit_flow)}"


def _flow(flow: Flow) -> str:
    return f"{flow.left:.2%} of NAV left of {flow.capacity:.0%}; {flow.per_day:.0%} a day come back"


def _payouts(gates: Gates) -> str:
    told = f"{gates.funded:,.2f} USDC funded and not claimed"
    if gates.shortfall:
        told += f"; a shortfall of {gates.shortfall:,.2f} USDC is declared: claims are paid pro rata"
    elif gates.short_since:
        told += f"; every venue empty since {utc_second(gates.short_since)}: after seven days of that it is a shortfall"
    return told
