"""Gas of the main calls on one fixed deployment over the mainnet snapshot, and of the mathematics by looped difference.

Every account, price and block time is fixed, so that the figures are the same on every machine: `.gas-snapshot` keeps
them. Transactions are counted as their receipts do; views as execution alone, in a transaction with nothing warm.
"""

from __future__ import annotations

import functools
import math
import random
from typing import Any

import boa
from eth_abi import encode
from eth_utils.crypto import keccak
from pyrevm import EVM

from keeper.domain.series import Position, Series
from keeper.domain.units import WAD, to_wad
from keeper.market.rounds import find_proof
from keeper.operations.options import claim, post_vol
from keeper.operations.vault import allow
from keeper.pricing.fixed_point import wad_ln
from keeper.pricing.normal_table import normal_table
from tests.bench.results import PROJECT, Row, row
from tests.bench.vault import sell_btc, six_series, trade
from tests.keeper.evm import DEPLOYER
from tests.keeper.vault_on_fork import BTC_SPOT, DEPOSIT, SPOT, VOL, VaultOnFork, account_of

SNAPSHOT = PROJECT / ".gas-snapshot"
PUBLISHED = {"Derive v1": 13_360, "Premia": 20_623, "Dopex": 88_969, "DeFiMath 4.1": 2_582}  # QUANT.md
_BLACK_SCHOLES = "math: Black-Scholes call from its five inputs"
_CASES = 64
_SPOT_VENUE, _SHORT_VENUE, _BTC_SPOT_VENUE, _BTC_SHORT_VENUE = range(4)


def run() -> list[Row]:
    """All rows; prints what has changed against `.gas-snapshot`."""
    gas = measure()
    compare(gas)
    rows = [row(name, used, "gas") for name, used in gas.items()]
    for name, used in mathematics(venom=True).items():
        rows.append(row(f"{name}, by Venom (peer: legacy)", used, "gas", peer=gas[name]))
    for peer, published in PUBLISHED.items():
        rows.append(row(f"{_BLACK_SCHOLES} (peer: {peer}, published)", gas[_BLACK_SCHOLES], "gas", peer=published))
    return rows


def measure() -> dict[str, int]:
    """What `.gas-snapshot` holds: gas by name, sorted, of the legacy pipeline."""
    return dict(sorted((transactions() | mathematics(venom=False)).items()))


# ---------------------------------------------------------------- calls on a fork


def transactions() -> dict[str, int]:
    """Gas of the calls of one vault's life, by name."""
    with six_series() as vault:
        return _story(vault)


def _story(vault: VaultOnFork) -> dict[str, int]:
    gas: dict[str, int] = {}
    calls = Position.from_slot(vault.read("OptionBook", "live_book")[0]).series
    gas["OptionBook.fill, sale, 6 series"] = trade(vault, calls, 1, vault_sells=True)
    gas["OptionBook.fill, buy-back, 6 series"] = trade(vault, calls, 1, vault_sells=False)
    posted = post_vol(vault.sender("vol_poster"), vault.deployment, 0, calls.expiry, VOL)
    gas["VolOracle.post, a newer slice"] = posted["gasUsed"]
    gas["VolOracle.post, a new expiry"] = _post_expiries(vault, calls.expiry)
    for size in (6, 32):
        book = [position.slot for position in _book(calls.expiry, size)]
        gas[f"OptionPricer.option_risk, {size} series"] = _view(vault, "OptionPricer", "option_risk", book)
        venues = vault.read("Vault", "all_venues")
        cash = 2 * DEPOSIT * 10**12
        gas[f"RiskEngine.assess, {size} series"] = _view(vault, "RiskEngine", "assess", book, venues, cash)
    gas["OptionPricer.marks"] = _view(vault, "OptionPricer", "marks", calls.id)
    gas["PriceOracle.read"] = _view(vault, "PriceOracle", "read", 0)

    _rebalance(vault, (_SPOT_VENUE, 20), (_SHORT_VENUE, -2))
    gas["Vault.assessment, 6 series"] = _view(vault, "Vault", "assessment")
    gas["Hedger.rebalance, one spot leg, 6 series"] = _rebalance(vault, (_SPOT_VENUE, 1))
    gas["Hedger.rebalance, one Aave leg, 6 series"] = _rebalance(vault, (_SHORT_VENUE, -1))
    gas["Hedger.rebalance, two legs, 6 series"] = _rebalance(vault, (_SPOT_VENUE, 1), (_SHORT_VENUE, -1))

    sell_btc(vault)
    _rebalance(vault, (_BTC_SPOT_VENUE, 0.2), (_BTC_SHORT_VENUE, -0.2))
    gas["Vault.assessment, 8 series of ETH and BTC"] = _view(vault, "Vault", "assessment")
    gas["Hedger.rebalance, one BTC spot leg, 8 series of both"] = _rebalance(vault, (_BTC_SPOT_VENUE, 0.1))
    gas["Hedger.rebalance, spot legs of ETH and BTC, 8 series"] = _rebalance(
        vault, (_SPOT_VENUE, 1), (_BTC_SPOT_VENUE, 0.1)
    )
    gas["Hedger.rebalance, four legs of ETH and BTC, 8 series"] = _rebalance(
        vault, (_SPOT_VENUE, 1), (_SHORT_VENUE, -1), (_BTC_SPOT_VENUE, 0.1), (_BTC_SHORT_VENUE, -0.1)
    )

    depositor = account_of("depositor").address
    vault.market.fund_usdc(depositor, DEPOSIT)
    allow(vault.sender("depositor"), vault.deployment, vault.deployment.address("Vault"), DEPOSIT)
    gas["Vault.deposit, 6 series"] = _send(vault, "depositor", "Vault", "deposit", DEPOSIT // 10, depositor)
    gas["Vault.redeem, 6 series"] = _send(vault, "depositor", "Vault", "redeem", 10_000 * WAD, depositor, depositor)
    gas |= _redemption(vault, depositor, 10_000 * WAD)

    vault.market.step(SPOT, timestamp=calls.expiry - 1_800)
    vault.market.step(SPOT + 150, timestamp=calls.expiry + 60)
    proof = find_proof(vault.connection, vault.deployment, vault.connection.header(), 0, calls.expiry)
    assert proof is not None
    rounds = (proof.round_id, proof.usdc_round_id)
    gas["OptionBook.settle, 3 of 6 series"] = _send(vault, "stranger", "OptionBook", "settle", 0, calls.expiry, *rounds)
    gas["ClearingHouse.fund"] = _send(vault, "stranger", "ClearingHouse", "fund")
    gas["OptionBook.claim"] = claim(vault.sender("taker"), vault.deployment, calls)["gasUsed"]
    return gas


def _redemption(vault: VaultOnFork, depositor: str, shares: int) -> dict[str, int]:
    """Through the queue: the first request of an account and of an epoch, its settlement in full, the claim."""
    queue = vault.deployment.address("RedemptionQueue")
    vault.send("depositor", "Vault", "approve", queue, shares)
    closes_at = vault.read("RedemptionQueue", "epoch_closes_at", vault.read("RedemptionQueue", "epoch"))
    request = _send(vault, "depositor", "RedemptionQueue", "requestRedeem", shares, depositor, depositor)
    vault.market.step(SPOT, timestamp=closes_at + 60)
    return {
        "RedemptionQueue.requestRedeem": request,
        "RedemptionQueue.settle_epoch, 6 series": _send(vault, "stranger", "RedemptionQueue", "settle_epoch"),
        "RedemptionQueue.redeem": _send(vault, "depositor", "RedemptionQueue", "redeem", shares, depositor, depositor),
    }


def _send(vault: VaultOnFork, role: str, contract: str, function: str, *args: Any) -> int:
    return int(vault.send(role, contract, function, *args)["gasUsed"])


def _view(vault: VaultOnFork, contract: str, function: str, *args: Any) -> int:
    receipt = vault.send("stranger", contract, function, *args)
    data = bytes(vault.w3.eth.get_transaction(receipt["transactionHash"])["input"])
    return int(receipt["gasUsed"]) - 21_000 - sum(16 if byte else 4 for byte in data)


def _rebalance(vault: VaultOnFork, *legs: tuple[int, float]) -> int:
    limits = []
    for venue, units in legs:
        spot = SPOT if venue in (_SPOT_VENUE, _SHORT_VENUE) else BTC_SPOT
        limits.append((venue, 0, to_wad(units), to_wad(spot * (1.006 if units > 0 else 0.994))))
    sequence = vault.read("Hedger", "sequence")
    return _send(vault, "keeper", "Hedger", "rebalance", limits, sequence, vault.now() + 100, b"\x11" * 32)


_WEEK = 7 * 86_400


def _post_expiries(vault: VaultOnFork, first: int) -> int:
    """The slices that `_book` stands on."""
    used = 0
    for week in (2, 3):
        used = post_vol(vault.sender("vol_poster"), vault.deployment, 0, first + week * _WEEK, VOL)["gasUsed"]
    return used


def _book(first: int, size: int) -> list[Position]:
    """Short options over four weekly expiries, in their order, at strikes around the spot."""
    book = []
    for i in range(size):
        strike_wad = to_wad(SPOT - 200 + 50 * (i % 8))
        expiry = first + 4 * i // size * _WEEK
        book.append(Position(Series(0, i % 2 == 0, expiry, strike_wad, wad_ln(strike_wad)), -5 * WAD))
    return book


def compare(gas: dict[str, int], *, update: bool = False) -> None:
    """Print what differs from `.gas-snapshot`; with ``update``, write it."""
    lines = SNAPSHOT.read_text().splitlines() if SNAPSHOT.exists() else []
    before = {name: int(used) for name, used in (line.rsplit(": ", 1) for line in lines)}
    changes = 0
    for name in sorted(before.keys() | gas.keys()):
        old, new = before.get(name), gas.get(name)
        if old != new:
            changes += 1
            share = f"  {new / old - 1:+.1%}" if old and new else ""
            print(f"gas  {name}: {old or 'nothing'} -> {new or 'nothing'}{share}")
    print(f"gas  {changes} of {len(gas)} figures differ from {SNAPSHOT.name}")
    if update:
        SNAPSHOT.write_text("".join(f"{name}: {used}\n" for name, used in gas.items()))


# ---------------------------------------------------------------- mathematics in loops


def mathematics(*, venom: bool) -> dict[str, int]:
    """Gas of one evaluation, averaged over the same random cases around a spot of 1,000."""
    arguments = {"evm_version": "cancun"} | ({"experimental_codegen": True} if venom else {})
    path = PROJECT / "tests" / "bench" / "math_loop.vy"
    code = boa.load_partial(str(path), compiler_args=arguments).compiler_data.bytecode
    evm = EVM()
    evm.set_balance(DEPLOYER, 10**20)
    address = evm.deploy(DEPLOYER, code + encode(["uint256[256]"], [normal_table()]))

    def used(function: str, evaluate: bool) -> int:
        types = ["int256[7][]", "bool"]
        data = keccak(text=f"{function}({','.join(types)})")[:4] + encode(types, [_cases(), evaluate])
        evm.message_call(DEPLOYER, address, data)
        return int(evm.result.gas_used)

    functions = {
        "math: normal distribution function": "cdf",
        "math: Black-76 call, ln(F/K) and sigma sqrt(T) prepared": "black76_call",
        _BLACK_SCHOLES: "black_scholes_call",
    }
    return {name: round((used(f, True) - used(f, False)) / _CASES) for name, f in functions.items()}


@functools.cache
def _cases() -> list[tuple[int, ...]]:
    rng = random.Random(7)
    cases = []
    for _ in range(_CASES):
        strike, tenor = 1_000 * math.exp(rng.gauss(0, 0.2)), rng.uniform(7, 365) / 365
        sigma, rate = rng.uniform(0.2, 1.5), rng.uniform(0, 0.08)
        x, s = math.log(1_000 / strike) + rate * tenor, sigma * math.sqrt(tenor)
        wads = tuple(to_wad(v) for v in (1_000.0, strike, tenor, sigma, rate))
        cases.append((*wads, int(x * 2**64), int(s * 2**64)))
    return cases
