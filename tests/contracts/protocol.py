"""The whole protocol deployed in titanoboa with its default parameters, and the things that people do with it."""

import contextlib
import functools
import gc
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import boa
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount

from keeper.pricing.normal_table import normal_table
from keeper.simulation.chain import addresses
from tests.contracts.chain import DAY, HOUR, USDC, WAD, Market, account

GOVERNOR, GUARDIAN, KEEPER, QUOTER, VOL_POSTER = 1, 2, 4, 8, 16  # roles.Role
ETH, BTC = 0, 1
SPOT, SHORT = 0, 1  # indices of the venues
BTC_SPOT, BTC_SHORT = 2, 3  # of a vault that has both underlyings
WEEK = 7 * DAY
ZERO = "0x" + "00" * 20
DECISION = b"\x11" * 32
HEALTH_FLOOR, HEALTH_TARGET = 15 * WAD // 10, 18 * WAD // 10
STRIKE_STEP, MIN_FILL = 50 * WAD, WAD // 10

_QUOTE_TYPE = [
    {"name": "series", "type": "uint256"},
    {"name": "vaultSells", "type": "bool"},
    {"name": "price", "type": "uint256"},
    {"name": "size", "type": "uint256"},
    {"name": "taker", "type": "address"},
    {"name": "deadline", "type": "uint256"},
    {"name": "nonce", "type": "uint256"},
    {"name": "referenceSpot", "type": "uint256"},
    {"name": "spotTolerance", "type": "uint256"},
]
_YEAR = 365 * DAY


def wad(value: float) -> int:
    """`value` in WAD, exact for up to nine decimals."""
    return round(value * 10**9) * 10**9


class Limits(NamedTuple):
    delta_target: int = wad(0.02)
    delta_hard: int = wad(0.10)
    gamma_band: int = wad(0.02)
    vega_band: int = wad(0.12)
    notional_total: int = wad(1.0)
    notional_expiry: int = wad(0.5)
    notional_series: int = wad(0.2)
    gross_leverage: int = wad(2.0)
    liquidity_buffer: int = wad(0.1)


LOOSE = Limits(*(100 * WAD,) * 8, liquidity_buffer=0)  # no bands: what is tested is something else


class Thresholds(NamedTuple):
    kill_drawdown: int = wad(0.15)
    min_deposit: int = 100 * USDC
    max_utilisation: int = wad(0.80)
    deposit_capacity: int = wad(0.08)
    deposit_per_day: int = wad(0.08)
    exit_capacity: int = wad(0.08)
    exit_per_day: int = wad(0.08)


class Budgets(NamedTuple):
    loss_capacity: int = wad(0.002)
    loss_per_day: int = wad(0.002)
    turnover_capacity: int = wad(0.08)
    turnover_per_day: int = wad(0.08)
    hedging_capacity: int = wad(0.17)
    hedging_per_day: int = wad(0.20)
    emergency_capacity: int = wad(0.001)
    emergency_per_day: int = wad(0.0005)
    distress_per_day: int = wad(0.01)
    leg_slippage: int = wad(0.0075)


class VegaBudgets(NamedTuple):
    vega_capacity: int = wad(0.07)
    vega_per_day: int = wad(0.02)


class Bounds(NamedTuple):
    min_vol: int = wad(0.2)
    max_vol: int = wad(3.0)
    vol_anchor: int = wad(0.25)
    vol_per_hour: int = wad(0.05)
    vol_per_day: int = wad(0.10)
    max_carry: int = wad(0.5)
    carry_per_day: int = wad(0.05)
    min_half_spread: int = wad(0.02)
    max_half_spread: int = wad(0.2)


class Quote(NamedTuple):
    series: int
    vault_sells: bool
    price: int
    size: int
    taker: str
    deadline: int
    nonce: int
    reference_spot: int
    spot_tolerance: int


class Leg(NamedTuple):
    venue: int
    pool: int
    delta_change: int
    limit_price: int


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """A compiled contract is some 100,000 objects that live as long as the session. Walking them again and again costs
    ten times what reading them from titanoboa's cache does: the garbage collector does not see them.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@functools.cache
def load(name: str) -> Any:
    """The deployer of a contract by its path under contracts/, compiled as in production."""
    with _without_collector():
        return boa.load_partial(f"contracts/{name}.vy", compiler_args={"evm_version": "cancun"})


@functools.cache
def _fault_deployer(name: str) -> Any:
    with _without_collector():
        return boa.load_partial(f"tests/contracts/faults/{name}.vy")


def fault(name: str, *args: Any) -> Any:
    """Deploy one of the misbehaving contracts of tests/contracts/faults."""
    return _fault_deployer(name).deploy(*args)


def replace_code(address: str, name: str, *args: Any) -> None:
    """Put a misbehaving contract's code where a real contract is."""
    boa.env.set_code(address, boa.env.get_code(fault(name, *args).address))


@dataclass
class Protocol:
    """Every contract and every actor. Contracts are wired, roles granted, nothing deposited or listed.

    Over another asset than USDC there are no venues: they trade USDC.
    """

    market: Market
    asset: Any = None  # USDC when nothing else is given
    has_btc: bool = False
    sequencer: str = ZERO  # uptime feed of a rollup
    governor: str = field(default_factory=lambda: account("governor"))
    guardian: str = field(default_factory=lambda: account("guardian"))
    keeper: str = field(default_factory=lambda: account("keeper"))
    vol_poster: str = field(default_factory=lambda: account("vol poster"))
    depositor: str = field(default_factory=lambda: account("depositor"))
    taker: str = field(default_factory=lambda: account("taker"))
    maker: str = field(default_factory=lambda: account("maker"))
    stranger: str = field(default_factory=lambda: account("stranger"))
    quoter: LocalAccount = field(default_factory=lambda: Account.from_key(b"\x07" * 32))
    _nonces: Iterator[int] = field(default_factory=lambda: itertools.count(100))  # equal quotes would share one hash

    def __post_init__(self) -> None:
        if self.asset is None:
            self.asset = self.market.usdc
        with boa.env.prank(self.governor):
            self._deploy()
            if self.asset is self.market.usdc:
                self._deploy_venues()
            self._grant()

    def _deploy(self) -> None:
        asset, governor = self.asset.address, self.governor
        markets = [(addresses.ETH_USD_FEED, 3900, addresses.POOL_USDC_WETH_500, True, 18)]
        if self.has_btc:
            markets.append((addresses.BTC_USD_FEED, 3900, addresses.POOL_WBTC_USDC_3000, False, 8))
        self.price_oracle = load("PriceOracle").deploy(
            governor, markets, addresses.USDC_USD_FEED, 90_000, self.sequencer
        )
        self.vol_oracle = load("VolOracle").deploy(governor, Bounds())
        self.pricer = load("OptionPricer").deploy(
            self.price_oracle, self.vol_oracle, len(markets), list(normal_table())
        )
        self.risk = load("RiskEngine").deploy(governor, self.pricer, Limits())
        self.vault = load("Vault").deploy(governor, asset, self.risk)
        listings = [(STRIKE_STEP, MIN_FILL), (1_000 * WAD, 5 * WAD // 1_000)][: len(markets)]
        self.book = load("OptionBook").deploy(
            governor, self.vault, self.pricer, self.price_oracle, asset, listings, VegaBudgets()
        )
        tokens = [addresses.WETH, addresses.WBTC][: len(markets)]
        self.clearing = load("ClearingHouse").deploy(self.book, self.vault, asset, tokens)
        self.token = load("OptionToken").deploy(self.book, self.clearing, "https://example.org/series/{id}")
        self.queue = load("RedemptionQueue").deploy(self.vault, self.price_oracle, len(markets))
        self.hedger = load("Hedger").deploy(governor, self.vault, self.book, self.risk, Budgets())
        self.auction = load("BuybackAuction").deploy(self.vault, self.book, self.hedger, self.risk, self.pricer)
        self.book.wire(self.token, self.clearing, self.hedger, self.auction)
        thresholds = Thresholds(min_deposit=100 * self.unit)
        self.breaker = load("CircuitBreaker").deploy(governor, self.vault, self.book, self.queue, thresholds)
        self.vault.wire(self.book, self.queue, self.hedger, self.auction, self.breaker)
        self.governance = load("Governance").deploy(governor, [self.guardian])

    def _deploy_venues(self) -> None:
        pools = [addresses.POOL_USDC_WETH_500, addresses.POOL_USDC_WETH_3000]
        self.spot, self.short = self._list_venues(ETH, addresses.WETH, 18, pools, addresses.AAVE_WETH_DEBT)
        if self.has_btc:
            btc = (addresses.WBTC, 8, [addresses.POOL_WBTC_USDC_3000], addresses.AAVE_WBTC_DEBT)
            self.btc_spot, self.btc_short = self._list_venues(BTC, *btc)

    def list_lending(self) -> int:
        """A venue that lends idle USDC to Aave. Returns its index."""
        index = len(self.vault.all_venues())
        self.lending = load("venues/AaveV3Lending").deploy(
            self.vault, addresses.USDC, addresses.AAVE_POOL, addresses.AAVE_USDC
        )
        self.vault.list_venue(self.lending, ETH, sender=self.governor)
        self.vault.set_lending(index, sender=self.governor)
        return index

    def _list_venues(self, underlying: int, token: str, decimals: int, pools: list[str], debt: str) -> tuple[Any, Any]:
        common = (self.vault, underlying, addresses.USDC, token, decimals, pools)
        aave = (addresses.AAVE_POOL, addresses.AAVE_ORACLE, addresses.AAVE_USDC, debt)
        spot = load("venues/UniswapV3Spot").deploy(*common)
        short = load("venues/AaveV3Short").deploy(*common, *aave, HEALTH_FLOOR, HEALTH_TARGET)
        for venue in (spot, short):
            self.vault.list_venue(venue, underlying)
        return spot, short

    def _grant(self) -> None:
        for contract in (
            self.vault,
            self.breaker,
            self.hedger,
            self.book,
            self.vol_oracle,
            self.risk,
            self.price_oracle,
        ):
            contract.grant_role(self.guardian, GUARDIAN)
        self.hedger.grant_role(self.keeper, KEEPER)
        self.book.grant_role(self.keeper, KEEPER)
        self.book.grant_role(self.quoter.address, QUOTER)
        self.vol_oracle.grant_role(self.vol_poster, VOL_POSTER)

    @property
    def venues(self) -> list[Any]:
        """The venues' contracts in index order."""
        if self.asset is not self.market.usdc:
            return []
        return [self.spot, self.short, *([self.btc_spot, self.btc_short] if self.has_btc else [])]

    @property
    def unit(self) -> int:
        """One whole unit of the asset."""
        return 10 ** int(self.asset.decimals())

    @property
    def contracts(self) -> dict[str, Any]:
        """The deployed contracts by name."""
        return {
            "Vault": self.vault,
            "CircuitBreaker": self.breaker,
            "Hedger": self.hedger,
            "BuybackAuction": self.auction,
            "Governance": self.governance,
            "OptionBook": self.book,
            "ClearingHouse": self.clearing,
            "OptionToken": self.token,
            "RedemptionQueue": self.queue,
            "PriceOracle": self.price_oracle,
            "VolOracle": self.vol_oracle,
            "RiskEngine": self.risk,
            "OptionPricer": self.pricer,
            "UniswapV3Spot": self.spot,
            "AaveV3Short": self.short,
        }

    @property
    def governed(self) -> list[Any]:
        """The contracts that have a governor."""
        return [contract for contract in self.contracts.values() if hasattr(contract, "hand_over")]

    def hand_over(self) -> None:
        """From now on the Governance is governor of every contract; its owner has become a guardian."""
        for contract in self.governed:
            contract.grant_role(self.governor, GUARDIAN, sender=self.governor)
            contract.hand_over(self.governance, sender=self.governor)

    # ------------------------------------------------------------------ depositors

    def fund(self, who: str, amount: int, spender: Any = None) -> None:
        """The asset for `who`, approved to the Vault or to another spender."""
        if self.asset is self.market.usdc:
            self.market.mint(who, amount)
        else:
            self.asset.mint(who, amount, sender=self.governor)
        self.asset.approve(self.vault if spender is None else spender, 2**256 - 1, sender=who)

    def deposit(self, amount: int, who: str | None = None) -> int:
        """Fund and deposit. Returns the shares."""
        who = who or self.depositor
        self.fund(who, amount)
        return int(self.vault.deposit(amount, who, sender=who))

    def request(self, shares: int, who: str | None = None) -> None:
        """Approve and queue shares for redemption."""
        who = who or self.depositor
        self.vault.approve(self.queue, shares, sender=who)
        self.queue.requestRedeem(shares, who, who, sender=who)

    def close_epoch(self, price: float | None = None) -> int:
        """Go a minute past the close of the present epoch, with new rounds. Returns the epoch."""
        epoch = int(self.queue.epoch())
        self.market.pass_time(self.queue.epoch_closes_at(epoch) + 60 - self.market.now)
        self.market.submit(price or self.market.feed.latestAnswer() / 10**8)
        self.market.submit_usdc()
        return epoch

    def settle_epoch(self) -> tuple[int, int]:
        """Settle as a stranger. Returns the shares paid and the USDC."""
        shares, assets = self.queue.settle_epoch(sender=self.stranger)
        return int(shares), int(assets)

    # ------------------------------------------------------------------ options

    def expiries(self) -> Iterator[int]:
        """The grid's expiries at least a day away, in order."""
        friday = DAY + 8 * HOUR
        first = self.market.now + DAY
        expiry = first + (friday - first) % WEEK
        while True:
            yield expiry
            expiry += WEEK

    def expiry(self, tenor_days: float = 7) -> int:
        """The first expiry of the grid at least `tenor_days` away."""
        return next(expiry for expiry in self.expiries() if expiry >= self.market.now + tenor_days * DAY)

    def list_series(
        self, strike: float = 3000, is_call: bool = True, expiry: int | None = None, underlying: int = ETH
    ) -> int:
        """List a series as the keeper. Returns its id."""
        when = expiry or self.expiry()
        return int(self.book.list_series(underlying, is_call, when, wad(strike), sender=self.keeper))

    def post_slice(
        self,
        expiry: int | None = None,
        vol: float = 0.6,
        rho: float = 0.0,
        phi: float = 0.0,
        carry: float = 0.0,
        half_spread: float = 0.02,
        underlying: int = ETH,
    ) -> None:
        """Post a slice with this at-the-money volatility, the first of an underlying as the governor, as it must be."""
        when = expiry or self.expiry()
        is_first = max(self.vol_oracle.expiries(underlying), default=0) <= self.market.now
        theta = round(vol**2 * (when - self.market.now) / _YEAR * 10**9) * 10**9
        shape = (wad(rho), wad(phi), wad(carry), wad(half_spread))
        self.vol_oracle.post(underlying, when, theta, *shape, sender=self.governor if is_first else self.vol_poster)

    def open_series(
        self, strike: float = 3000, is_call: bool = True, expiry: int | None = None, underlying: int = ETH
    ) -> int:
        """A listed series with a fresh slice."""
        when = expiry or self.expiry()
        self.post_slice(when, underlying=underlying)
        return self.list_series(strike, is_call, when, underlying)

    def quote(self, series: int, vault_sells: bool = True, size: int = WAD, **changes: Any) -> Quote:
        """A quote at the mark that bounds it, valid now; `changes` replace fields."""
        marks = self.pricer.marks(series)
        standard = Quote(
            series=series,
            vault_sells=vault_sells,
            price=marks.ask if vault_sells else marks.bid,
            size=size,
            taker=ZERO,
            deadline=self.market.now + 60,
            nonce=next(self._nonces),
            reference_spot=marks.spot,
            spot_tolerance=25 * 10**14,
        )
        return standard._replace(**changes)

    def sign(self, quote: Quote, signer: LocalAccount | None = None, **domain: Any) -> bytes:
        """The quote signed as EIP-712 by the quoter; `domain` replaces fields of the book's domain."""
        names = [str(entry["name"]) for entry in _QUOTE_TYPE]
        standard = {
            "name": "Keel OptionBook",
            "version": "1",
            "chainId": boa.env.evm.patch.chain_id,
            "verifyingContract": str(self.book.address),
        }
        message = encode_typed_data(
            domain_data={**standard, **domain},
            message_types={"Quote": _QUOTE_TYPE},
            message_data=dict(zip(names, quote, strict=True)),
        )
        return bytes((signer or self.quoter).sign_message(message).signature)

    def fill(self, quote: Quote, size: int | None = None, taker: str | None = None, **changes: Any) -> None:
        """Fill a quote with the quoter's signature as `taker`, who already has what it costs."""
        arguments = {"signer": self.quoter.address, "signature": self.sign(quote), **changes}
        amount = quote.size if size is None else size
        self.book.fill(quote, amount, arguments["signer"], arguments["signature"], sender=taker or self.taker)

    def sell(self, series: int, size: int = WAD, taker: str | None = None) -> int:
        """The vault sells `size` at its ask mark. Returns the premium in base units of the asset."""
        taker = taker or self.taker
        quote = self.quote(series, size=size)
        premium = -(-quote.price * size * self.unit // WAD**2)
        self.fund(taker, premium, self.book)
        self.fill(quote, taker=taker)
        return premium

    def buy_back(self, series: int, size: int = WAD, taker: str | None = None) -> int:
        """The vault buys `size` at its bid mark. Returns the premium in base units of the asset."""
        quote = self.quote(series, vault_sells=False, size=size)
        self.fill(quote, taker=taker or self.taker)
        return quote.price * size * self.unit // WAD**2

    def give_collateral(self, series: int, size: int, maker: str | None = None) -> int:
        """What writing `size` takes, for the maker and approved to the ClearingHouse. Returns units of the token."""
        maker, amount = maker or self.maker, int(self.clearing.collateral_of(series, size))
        is_call, underlying = bool(series >> 247 & 1), series >> 248
        if not is_call:
            self.fund(maker, amount, self.clearing)
        elif underlying == ETH:
            self.market.wrap(maker, amount)
            self.market.weth.approve(self.clearing, 2**256 - 1, sender=maker)
        else:
            self.market.mint_wbtc(maker, amount)
            self.market.wbtc.approve(self.clearing, 2**256 - 1, sender=maker)
        return amount

    def write(self, series: int, size: int = WAD, maker: str | None = None) -> int:
        """A maker writes `size` to the vault at its bid mark. Returns the premium in base units of the asset."""
        maker = maker or self.maker
        self.give_collateral(series, size, maker)
        quote = self.quote(series, vault_sells=False, size=size)
        self.book.write(quote, size, self.quoter.address, self.sign(quote), sender=maker)
        return quote.price * size * self.unit // WAD**2

    def reach_expiry(self, expiry: int, price: float | None = None) -> tuple[int, int]:
        """Go a minute past an expiry whose first round is at `price`. Returns the round ids that prove the fixing."""
        if self.market.now < expiry - HOUR:
            self.market.wait(expiry - HOUR - self.market.now)
        usdc_round = self.market.usdc_feed.latestRound()
        self.market.pass_time(expiry + 60 - self.market.now)
        round_id = self.market.submit(price or self.market.price)
        return round_id, int(usdc_round)

    def settle(self, expiry: int, price: float | None = None) -> None:
        """Reach an expiry and settle it, with a fresh USDC round after it."""
        proof = self.reach_expiry(expiry, price)
        self.market.submit_usdc()
        self.book.settle(ETH, expiry, *proof, sender=self.stranger)

    # ------------------------------------------------------------------ hedges

    def leg(self, venue: int, units: float, limit: float | None = None, pool: int = 0) -> Leg:
        """Buy (+) or sell (-) `units`, by default within 0.5 % of the oracle price."""
        is_btc = self.has_btc and venue in (BTC_SPOT, BTC_SHORT)
        oracle_price = self.price_oracle.read(BTC if is_btc else ETH).price / WAD
        price = limit if limit is not None else oracle_price * (1.005 if units > 0 else 0.995)
        return Leg(venue, pool, wad(units), wad(price))

    def rebalance(self, *legs: Leg, sequence: int | None = None, deadline: int | None = None) -> None:
        """Trade the legs as the keeper."""
        self.hedger.rebalance(
            list(legs),
            self.hedger.sequence() if sequence is None else sequence,
            self.market.now + 60 if deadline is None else deadline,
            DECISION,
            sender=self.keeper,
        )

    def last(self, seconds: int) -> None:
        """Let a breach last: record it, and confirm it every nine minutes until `seconds` have passed."""
        self.hedger.record_breach(sender=self.stranger)
        while seconds > 0:
            step = min(seconds, 540)
            self.market.wait(step)
            self.hedger.record_breach(sender=self.stranger)
            seconds -= step

    def de_risk(self, *legs: Leg, who: str | None = None) -> None:
        """Trade the legs as a stranger."""
        self.hedger.de_risk(list(legs), sender=who or self.stranger)

    def bid(
        self, series: int, size: int, *legs: Leg, writes: bool = False, least: int = 0, who: str | None = None
    ) -> int:
        """Sell `size` back to the vault in the auction as the taker. Returns the USDC paid."""
        return int(self.auction.bid(series, size, writes, list(legs), least, sender=who or self.taker))

    def loosen(self, **budgets: int) -> None:
        """No bands and no ration of turnover and vega, for tests of the trade itself; `budgets` replace others."""
        self.risk.set_limits(LOOSE, sender=self.governor)
        self.book.set_budgets(VegaBudgets(vega_capacity=1_000 * WAD), sender=self.governor)
        ample = Budgets(turnover_capacity=1_000 * WAD, hedging_capacity=1_000 * WAD)
        self.hedger.set_budgets(ample._replace(**budgets), sender=self.governor)

    def open_gates(self, **thresholds: int) -> None:
        """No limits of flows and utilisation, for tests of shares themselves; `thresholds` replace others."""
        ample = dict.fromkeys(("deposit_capacity", "deposit_per_day", "exit_capacity", "exit_per_day"), 1_000 * WAD)
        standard = Thresholds(min_deposit=100 * self.unit, max_utilisation=WAD, **ample)
        self.breaker.set_thresholds(standard._replace(**thresholds), sender=self.governor)

    # ------------------------------------------------------------------ what must hold

    def overwrite(self, variable: str, value: int) -> None:
        """Change one of the Vault's accounts by hand, for states that nobody's calls lead to."""
        slot = self.vault.compiler_data.storage_layout["storage_layout"][variable]["slot"]
        boa.env.set_storage(self.vault.address, slot, value)

    def ledger_problems(self, holders: Sequence[str]) -> list[str]:
        """The identities of the ledger that do not hold; empty when all is well."""
        asset, vault, book = self.asset, self.vault, self.book
        problems = []
        if asset.balanceOf(vault) < vault.idle():
            problems.append("the Vault's assets are below idle")
        clearing, weth, wbtc = self.clearing, self.market.weth, self.market.wbtc
        if asset.balanceOf(clearing) < clearing.funded() + clearing.escrow(asset):
            problems.append("the ClearingHouse's assets are below funded payouts and makers' escrow")
        if any(token.balanceOf(clearing) < clearing.escrow(token) for token in (weth, wbtc)):
            problems.append("the ClearingHouse's WETH or WBTC are below makers' escrow")
        if asset.balanceOf(book) != 0:
            problems.append("the OptionBook holds assets")
        if asset.balanceOf(self.queue) < self.queue.reserved():
            problems.append("the RedemptionQueue's assets are below what is reserved")
        if vault.balanceOf(self.queue) < self.queue.total_pending():
            problems.append("the RedemptionQueue's shares are below those that wait")
        if sum(vault.balanceOf(holder) for holder in holders) != vault.totalSupply():
            problems.append("balances do not add up to the supply")
        for venue in self.venues:
            if asset.balanceOf(venue) != 0:
                problems.append("a venue holds assets between calls")
        for owner, token, spender in self._possible_approvals():
            if token.allowance(owner, spender) != 0:
                problems.append(f"{owner} approves {spender}")
        return problems

    def _possible_approvals(self) -> Iterator[tuple[Any, Any, str]]:
        """What a contract could have approved: its tokens, to whom it trades with, the Vault and its components."""
        tokens = [self.asset, self.market.weth, *([self.market.wbtc] if self.has_btc else [])]
        pools = [addresses.POOL_USDC_WETH_500, addresses.POOL_USDC_WETH_3000]
        pools += [addresses.POOL_WBTC_USDC_3000] if self.has_btc else []
        components = [str(contract.address) for contract in (self.vault, self.book, self.clearing)]
        lending = [self.lending] if hasattr(self, "lending") else []
        for owner in (self.vault, self.book, self.clearing, *self.venues, *lending):
            for token in tokens:
                for spender in (addresses.AAVE_POOL, *pools, *components):
                    yield owner, token, spender
