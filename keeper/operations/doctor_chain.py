"""What `keel doctor` looks at on chain: code, roles, approvals, feeds, surface, and whether keeper and chain agree.

A check returns what is wrong (empty where nothing is), what is so, and what to do about it when it is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from keeper.chain import accounts
from keeper.chain.abi import function, signature
from keeper.chain.address_book import MULTICALL3
from keeper.chain.gas import bids
from keeper.chain.multicall import Answer, Batch
from keeper.domain.series import UNDERLYINGS, Position
from keeper.domain.snapshot import Mode, VenueKind
from keeper.domain.times import utc_minute
from keeper.domain.units import HOUR, WAD
from keeper.market.posting import POST_GAS
from keeper.market.reader import CONTRACTS, read_snapshot
from keeper.operations.gates import read_gates
from keeper.operations.posting import poster_of
from keeper.operations.quote_server import quoter_of
from keeper.operations.roles import NO_GUARDIAN, Role, governed, require_role, wrong_roles
from keeper.operations.session import Session
from keeper.risk.valuation import margin_mismatch, value

SURFACE_MAX_AGE: Final = 2 * HOUR  # of a slice, OptionBook's and CircuitBreaker's

GUARDIAN_GAS: Final = 300_000  # of stopping new business, with room
POSTS: Final = 100  # that the vol poster's ether should pay for

_ETHER: Final = signature("getEthBalance(address)(uint256)")
_ALLOWANCE: Final = signature("allowance(address,address)(uint256)")
_ROUND: Final = signature("latestRoundData()(uint80,int256,uint256,uint256,uint80)")

Check = Callable[[Session], tuple[str, str, str]]


def code(session: Session) -> tuple[str, str, str]:
    """The code of every contract has the hash that the manifest has."""
    wrong = [
        name
        for name, record in session.deployment.contracts.items()
        if _code_hash(session, record.address) != record.codehash
    ]
    if session.connection.request("eth_getCode", MULTICALL3, "latest") in ("0x", None):
        wrong.append(f"Multicall3 ({MULTICALL3})")
    todo = "Is it the manifest of this chain? If it is, do not run: what is there is not what was deployed."
    return (
        _wrong("other code than in the manifest, or none", wrong),
        f"{len(session.deployment.contracts)} contracts",
        todo,
    )


def roles(session: Session) -> tuple[str, str, str]:
    """Every account of the manifest has its roles, all of them and no others."""
    batch, asked = Batch(), {}

    def ask(contract: str, name: str, *args: Any) -> Any:
        asked[contract, name, args] = batch.add(
            contract, session.deployment.address(contract), function(contract, name), *args
        )

    def answer(contract: str, name: str, *args: Any) -> Any:
        value = asked[contract, name, args].value
        return to_checksum_address(value) if isinstance(value, str) else value

    governor = session.deployment.roles["governor"]
    wrong_roles(ask, session.deployment, governor)
    batch.run(session.connection, session.connection.header())
    wrong = wrong_roles(answer, session.deployment, governor)
    todo = "Let a guardian revoke what is too much, and the governor grant what is missing: `keel governance submit`."
    return _wrong("not as in the manifest", wrong), "as in the manifest", todo


def keeper_key(session: Session) -> tuple[str, str, str]:
    """The configured key may do what the keeper does, and nothing more: who steals it must not be a guardian."""
    address, batch = session.keeper_address(), Batch()
    held = {
        name: batch.add(name, session.deployment.address(name), function(name, "roles_of"), address)
        for name in governed()
    }
    batch.run(session.connection, session.connection.header())
    missing = [name for name in ("Hedger", "OptionBook") if not held[name].value & Role.KEEPER]
    if missing:
        todo = "Set `keystore` to the keeper's key, or let the governor grant it KEEPER."
        return f"{address} has not the KEEPER role of {' and '.join(missing)}", "", todo
    dangerous = Role.GOVERNOR | Role.GUARDIAN
    too_much = [name for name, answer in held.items() if answer.value & dangerous]
    todo = "Use a key of its own for the keeper; revoke this one's other roles."
    return _wrong(f"{address} is governor or guardian as well", too_much), f"{address} is KEEPER and no more", todo


def guardian_key(session: Session) -> tuple[str, str, str]:
    """The kill switch's twin can act: its key opens, is a guardian's, and has ether for a transaction or two."""
    settings = session.settings
    if not settings.guardian_keystore:
        return "", "none: the kill switch stops this keeper, and nothing on chain", ""
    path = accounts.keystore_path(settings.guardian_keystore)
    account = accounts.unlock(path, settings.guardian_passphrase_file, environment={})
    require_role(session, account.address, "CircuitBreaker", Role.GUARDIAN, NO_GUARDIAN)
    batch, head = Batch(), session.connection.header()
    ether = batch.add("Multicall3", MULTICALL3, _ETHER, account.address)
    batch.run(session.connection, head)
    needed = GUARDIAN_GAS * bids(head.base_fee)[0]
    todo = f"Send {account.address} {2 * needed / WAD:.3f} ether."
    poor = "" if ether.value >= needed else f"{account.address} has {ether.value / WAD:.4f} ether"
    return poor, f"{account.address} is a guardian with {ether.value / WAD:.4f} ether", todo


def quoter_key(session: Session) -> tuple[str, str, str]:
    """The quote server's key opens, is a quoter's, and is not the keeper's."""
    if not session.settings.quoter_keystore:
        return "", "none: this keeper signs no quotes", ""
    return "", f"{quoter_of(session).address} is a quoter", ""


def poster_key(session: Session) -> tuple[str, str, str]:
    """The vol poster's key opens, is a vol poster's and not the keeper's, and has ether for a hundred posts."""
    if not session.settings.surface.sources:
        return "", "none: this keeper posts no surface", ""
    address, batch, head = poster_of(session).address, Batch(), session.connection.header()
    ether = batch.add("Multicall3", MULTICALL3, _ETHER, address)
    batch.run(session.connection, head)
    needed = POSTS * POST_GAS * bids(head.base_fee)[0]
    poor = "" if ether.value >= needed else f"{address} has {ether.value / WAD:.4f} ether"
    return (
        poor,
        f"{address} is a vol poster with {ether.value / WAD:.4f} ether",
        f"Send {address} {needed / WAD:.3f} ether.",
    )


def approvals(session: Session) -> tuple[str, str, str]:
    """No contract lets another take its tokens between calls."""
    vault = session.deployment.address("Vault")
    first = Batch()
    asset = first.add("Vault", vault, function("Vault", "asset"))
    parties = [(venue, _views_of(first, venue.kind, venue.address)) for venue in session.deployment.venues]
    head = session.connection.header()
    first.run(session.connection, head)

    second = Batch()
    asked: list[tuple[str, Answer]] = []
    for venue, views in parties:
        tokens = {asset.value, *(view.value for name, view in views if name == "TOKEN")}
        spenders = {view.value for name, view in views if name != "TOKEN" and view.value is not None}
        label = f"{venue.kind} {venue.index}"
        for token in sorted(tokens):
            asked += [
                (f"{label} to {spender}", second.add(label, token, _ALLOWANCE, venue.address, spender))
                for spender in sorted(spenders)
            ]
        asked.append((f"Vault to {label}", second.add("Vault", asset.value, _ALLOWANCE, vault, venue.address)))
    if asked:
        second.run(session.connection, head)
    left = [name for name, answer in asked if answer.value]
    todo = "The contracts leave none behind: find the transaction that did, and stop the vault until it is understood."
    return _wrong("approvals are left", left), f"none of {len(asked)} is left", todo


def _views_of(batch: Batch, kind: VenueKind, address: str) -> list[tuple[str, Answer]]:
    """A venue's token and whom it trades with."""
    contract = CONTRACTS[kind]
    names = {
        VenueKind.UNISWAP_V3_SPOT: ("TOKEN",),
        VenueKind.AAVE_V3_SHORT: ("TOKEN", "AAVE"),
        VenueKind.AAVE_V3_LENDING: ("AAVE",),
    }[kind]
    views = [(name, batch.add(contract, address, function(contract, name))) for name in names]
    if kind is not VenueKind.AAVE_V3_LENDING:
        pool = function(contract, "pools")
        views += [("pool", batch.add(contract, address, pool, index, optional=True)) for index in range(4)]
    return views


def feeds(session: Session) -> tuple[str, str, str]:
    """Every feed has a round that is young enough, and every underlying a price that is not in doubt."""
    oracle, first, head = session.deployment.address("PriceOracle"), Batch(), session.connection.header()

    def ask(name: str, *args: Any, optional: bool = False) -> Answer:
        return first.add("PriceOracle", oracle, function("PriceOracle", name), *args, optional=optional)

    count, usdc, usdc_age = ask("count"), ask("USDC_FEED"), ask("USDC_MAX_AGE")
    markets = [ask("markets", u, optional=True) for u in range(len(UNDERLYINGS))]
    readings = [ask("read", u, optional=True) for u in range(len(UNDERLYINGS))]
    first.run(session.connection, head)

    listed = [("USDC", usdc.value, usdc_age.value)]
    listed += [(UNDERLYINGS[u], markets[u].value[0], markets[u].value[1]) for u in range(count.value)]
    second = Batch()
    rounds = [second.add(f"{symbol} feed", feed, _ROUND) for symbol, feed, _ in listed]
    second.run(session.connection, head)
    wrong, told = [], []
    for (symbol, _, oldest), answer in zip(listed, rounds, strict=True):
        age = head.timestamp - answer.value[3]
        told.append(f"{symbol} {age} s of {oldest} s")
        if age > oldest:
            wrong.append(f"{symbol} is {age} s old, {oldest} s are allowed")
    for u in range(count.value):
        reading, symbol = readings[u].value, UNDERLYINGS[u]
        if reading is None:
            wrong.append(f"{symbol} has no price ({readings[u].reason})")
        elif reading[1] == 0:
            wrong.append(f"{symbol}'s pool has no five-minute TWAP")
        elif reading[3]:
            wrong.append(
                f"{symbol}'s price is in doubt: Chainlink {reading[0] / WAD:,.2f}, TWAP {reading[1] / WAD:,.2f}"
            )
    todo = "It ends with the next round, or when the markets agree again; until then it is frozen, or margin is higher."
    return "; ".join(wrong), ", ".join(told), todo


def surface(session: Session) -> tuple[str, str, str]:
    """Of every expiry in the book the posted slice is younger than two hours: else nobody deposits or buys."""
    book_address, oracle = session.deployment.address("OptionBook"), session.deployment.address("VolOracle")
    first, second, head = Batch(), Batch(), session.connection.header()
    book = first.add("OptionBook", book_address, function("OptionBook", "live_book"))
    first.run(session.connection, head)
    series = [Position.from_slot(slot).series for slot in book.value]
    live = sorted({(one.underlying, one.expiry) for one in series if one.expiry > head.timestamp})
    posted = [second.add("VolOracle", oracle, function("VolOracle", "posted"), u, e, optional=True) for u, e in live]
    if not live:
        return "", "no series is listed", ""
    second.run(session.connection, head)
    wrong, ages = [], []
    for (u, expiry), answer in zip(live, posted, strict=True):
        age = None if answer.value is None else head.timestamp - answer.value[0][5]
        ages.append(age or 0)
        if age is None or age > SURFACE_MAX_AGE:
            said = "no slice" if age is None else f"a slice of {age // 60} minutes"
            wrong.append(f"{UNDERLYINGS[u]} {utc_minute(expiry)} UTC has {said}")
    return "; ".join(wrong), f"{len(live)} slices, the oldest of {max(ages) // 60} minutes", "Run `keel surface post`."


def valuation(session: Session) -> tuple[str, str, str]:
    """Keeper and chain agree on margin, NAV and delta at the newest block."""
    snapshot = read_snapshot(session.connection, session.deployment, session.keeper_address())
    mismatch, allowed = margin_mismatch(value(snapshot), snapshot), session.settings.policy.margin_tolerance
    at = f"at block {snapshot.block_number}"
    what = f"keeper and chain differ by {mismatch:.1e} of notional {at}, {allowed:.0e} is allowed"
    todo = "Is it the version of Keel that this vault was deployed with? The keeper refuses to act until they agree."
    return ("" if mismatch <= allowed else what), what, todo  # a NaN is wrong, too


def mode(session: Session) -> tuple[str, str, str]:
    """The vault does business."""
    gates = read_gates(session.connection, session.deployment)
    wrong = "" if gates.mode is Mode.NORMAL else f"{gates.mode}: {'; '.join(gates.because)}"
    return wrong, "normal", "See `keel status`; hedging goes on while it is reduce-only."


CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("code", code),
    ("roles", roles),
    ("keeper's key", keeper_key),
    ("guardian's key", guardian_key),
    ("quoter's key", quoter_key),
    ("vol poster's key", poster_key),
    ("approvals", approvals),
    ("feeds", feeds),
    ("surface", surface),
    ("mode", mode),
    ("valuation", valuation),
)


def _code_hash(session: Session, address: str) -> str:
    deployed = session.connection.request("eth_getCode", address, "latest")
    return "0x" + keccak(hexstr=deployed).hex()


def _wrong(what: str, names: list[str]) -> str:
    return f"{what}: {', '.join(names)}" if names else ""
