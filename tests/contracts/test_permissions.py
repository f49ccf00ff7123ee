"""Who may call what: every function of every deployable that changes anything has its class here, and keeps to it.

A function that is new fails these tests until somebody has thought about who may call it and how long a governor waits.
"""

from pathlib import Path
from typing import Any

import boa
import pytest
from boa.contracts.base_evm_contract import BoaError
from vyper.compiler.output import build_abi_output

from tests.contracts.chain import DAY, HOUR, WAD, reason
from tests.contracts.governed import Governed
from tests.contracts.protocol import SPOT, Bounds, Budgets, Limits, Thresholds, VegaBudgets, load, wad

_CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
MINUTE = 60
_NOBODY = "0x" + "00" * 19 + "01"

# Classes. ANYONE: what it moves is the caller's, or the same for whoever calls.
# ITSELF: a contract of the vault, or a holder.
ANYONE, ITSELF = "anyone", "itself"
KEEPER, VOL_POSTER, GUARDIAN = "keeper", "vol_poster", "guardian"
OWNER, SELF = "owner", "governance"
DAYS_2, WEEK, ONCE = "governor, 48 h", "governor, 7 days", "governor, before the hand-over"
GOVERNORS = (DAYS_2, WEEK, ONCE)

_ROLES = {"grant_role": DAYS_2, "revoke_role": GUARDIAN, "hand_over": WEEK}
PERMISSIONS: dict[str, dict[str, str]] = {
    "Vault": {
        **_ROLES,
        "wire": ONCE,
        **dict.fromkeys(("list_venue", "retire_venue"), WEEK),
        "set_lending": DAYS_2,  # one that is listed
        "set_fees": DAYS_2,
        **dict.fromkeys(("transfer", "approve", "transferFrom", "permit"), ANYONE),
        **dict.fromkeys(("deposit", "mint", "withdraw", "redeem", "crystallise", "checkpoint"), ANYONE),
        **dict.fromkeys(("acquire", "release", "on_fill", "hedge", "observe", "pay_out", "book_owed"), ITSELF),
        **dict.fromkeys(("lend", "recall"), ITSELF),
        **dict.fromkeys(("pay_owed", "take_in", "take_in_kind", "settle_queue", "pay_frozen", "burn_waiting"), ITSELF),
    },
    "CircuitBreaker": {
        **_ROLES,
        "set_thresholds": DAYS_2,
        "set_reduce_only": GUARDIAN,  # to latch; to unlatch is the governor's
        "tighten_thresholds": GUARDIAN,
        "exit_frozen": ANYONE,
        **dict.fromkeys(("on_deposit", "on_sale", "on_exit", "observe"), ITSELF),
    },
    "Hedger": {
        **_ROLES,
        "set_budgets": DAYS_2,
        "tighten_budgets": GUARDIAN,
        "rebalance": KEEPER,
        **dict.fromkeys(("heartbeat", "lend", "recall"), KEEPER),
        **dict.fromkeys(("record_breach", "clear_breach", "de_risk"), ANYONE),
        "book_loss": ITSELF,
    },
    "OptionBook": {
        **_ROLES,
        "wire": ONCE,
        "set_budgets": DAYS_2,
        "tighten_budgets": GUARDIAN,
        "list_series": KEEPER,
        "delist_series": ANYONE,  # what no one holds and is in the way; else keeper
        **dict.fromkeys(("fill", "write", "raise_nonce_floor", "cancel_nonces", "settle", "place"), ANYONE),
        **dict.fromkeys(("buy_back", "draw"), ITSELF),
    },
    "ClearingHouse": {
        **dict.fromkeys(("fund", "claim", "declare_shortfall", "take_back", "deliver"), ANYONE),
        **dict.fromkeys(("lock", "settle", "pay_vault", "deliver_to"), ITSELF),
    },
    "BuybackAuction": dict.fromkeys(("open", "open_rescue", "close", "bid"), ANYONE),
    "VolOracle": {**_ROLES, "set_bounds": DAYS_2, "tighten_bounds": GUARDIAN, "post": VOL_POSTER},
    "RiskEngine": {**_ROLES, "set_limits": DAYS_2, "tighten_limits": GUARDIAN},
    "OptionToken": {
        **dict.fromkeys(("setApprovalForAll", "safeTransferFrom", "safeBatchTransferFrom"), ANYONE),
        **dict.fromkeys(("mint", "burn"), ITSELF),
    },
    "RedemptionQueue": {
        **dict.fromkeys(("setOperator", "requestRedeem", "cancel", "settle_epoch", "redeem", "withdraw"), ANYONE),
        "bear": ITSELF,
    },
    "PriceOracle": {**_ROLES, "fix_late": DAYS_2, **dict.fromkeys(("fix", "record_twap"), ANYONE)},
    "OptionPricer": {},
    "Governance": {
        **dict.fromkeys(("submit", "accept", "drop_guardian"), OWNER),
        "revoke": "owner or its guardians",
        **dict.fromkeys(("add_guardian", "set_owner"), SELF),
        "abdicate": SELF,
    },
    "UniswapV3Spot": dict.fromkeys(("trade", "take_in", "uniswapV3SwapCallback"), ITSELF),
    "AaveV3Short": {**dict.fromkeys(("trade", "uniswapV3SwapCallback"), ITSELF), "disown": ANYONE},
    "AaveV3Lending": dict.fromkeys(("lend", "recall"), ITSELF),
}
# What a call of the Governance to itself waits.
OWN_DELAYS = {"add_guardian": 48 * HOUR, "set_owner": 48 * HOUR, "abdicate": 7 * DAY}
REFUSED = "roles: not allowed"


_RATIONED = ("loss_capacity", "loss_per_day", "turnover_capacity", "turnover_per_day")
# What a guardian can do at worst, by function; who loosens instead is refused in the contract's own tests.
HARSHEST: dict[tuple[str, str], tuple[Any, ...]] = {
    ("CircuitBreaker", "set_reduce_only"): (True,),
    ("CircuitBreaker", "tighten_thresholds"): (Thresholds(0, 2**255, deposit_capacity=0, deposit_per_day=0),),
    ("OptionBook", "tighten_budgets"): (VegaBudgets(0, 0),),
    ("RiskEngine", "tighten_limits"): (
        Limits(
            delta_hard=Limits().delta_target,
            notional_total=0,
            notional_expiry=0,
            notional_series=0,
            liquidity_buffer=2**255,
        ),
    ),
    ("VolOracle", "tighten_bounds"): (Bounds(min_half_spread=wad(0.2), max_half_spread=wad(0.2)),),
    ("Hedger", "tighten_budgets"): (Budgets()._replace(**dict.fromkeys(_RATIONED, 0)),),
}


def deployables() -> dict[str, str]:
    """Path under contracts/ by name."""
    found = [*_CONTRACTS.glob("*.vy"), *_CONTRACTS.glob("venues/*.vy")]
    return {path.stem: str(path.relative_to(_CONTRACTS).with_suffix("")) for path in found}


def changing(abi: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The functions that change something."""
    return [e for e in abi if e["type"] == "function" and e["stateMutability"] not in ("view", "pure")]


def empty(parameter: dict[str, Any]) -> Any:
    """A value of a parameter that says nothing."""
    kind = parameter["type"]
    if kind.endswith("]"):
        length = kind[kind.rindex("[") + 1 : -1]
        return [empty({**parameter, "type": kind[: kind.rindex("[")]})] * int(length or 0)
    if kind == "tuple":
        return tuple(empty(field) for field in parameter["components"])
    if kind == "address":
        return _NOBODY
    if kind == "bool":
        return False
    if kind.startswith("bytes"):
        return bytes(int(kind[5:] or 0))
    return "" if kind == "string" else 0


def arguments(contract: str, entry: dict[str, Any]) -> tuple[Any, ...]:
    return HARSHEST.get((contract, entry["name"])) or tuple(empty(parameter) for parameter in entry["inputs"])


def refusal(contract: Any, name: str, entry: dict[str, Any], sender: str) -> str | None:
    """The reason for which a call is refused, None when it is not, or for another reason than who calls."""
    with boa.env.anchor():
        try:
            getattr(contract, entry["name"])(*arguments(name, entry), sender=sender)
        except BoaError as error:
            return reason(error)
    return None


def entries(*classes: str) -> list[tuple[str, str]]:
    return [
        (name, function) for name, table in PERMISSIONS.items() for function, kind in table.items() if kind in classes
    ]


def entry_of(contract: Any, function: str) -> dict[str, Any]:
    (entry,) = (entry for entry in changing(contract.abi) if entry["name"] == function)
    return entry


def test_every_deployable_has_its_permissions_here():
    assert set(PERMISSIONS) == set(deployables())


@pytest.mark.parametrize(("name", "path"), deployables().items())
def test_every_function_that_changes_anything_has_a_class(name, path):
    """And one selector: an argument with a default would give a function a second one, with a delay of its own."""
    functions = changing(build_abi_output(load(path).compiler_data))

    assert sorted(entry["name"] for entry in functions) == sorted(PERMISSIONS[name])
    assert {entry["stateMutability"] for entry in functions} <= {"nonpayable"}


@pytest.mark.parametrize("who", ["stranger", "guardian", "keeper", "vol_poster", "quoter"])
@pytest.mark.parametrize(("name", "function"), entries(*GOVERNORS))
def test_what_is_the_governors_is_nobody_elses(deployed, name, function, who):
    """Invariant 40: nor the guardian's."""
    contract = deployed.contracts[name]
    sender = getattr(deployed, who)

    assert refusal(contract, name, entry_of(contract, function), getattr(sender, "address", sender)) == REFUSED


@pytest.mark.parametrize("who", ["stranger", "keeper", "vol_poster", "quoter"])
@pytest.mark.parametrize(("name", "function"), entries(GUARDIAN))
def test_what_is_the_guardians_is_nobody_elses_but_the_governors(deployed, name, function, who):
    contract = deployed.contracts[name]
    entry = entry_of(contract, function)
    sender = getattr(deployed, who)

    assert refusal(contract, name, entry, getattr(sender, "address", sender)) == REFUSED
    for allowed in (deployed.guardian, deployed.governor):
        assert refusal(contract, name, entry, allowed) is None


@pytest.mark.parametrize("role", [KEEPER, VOL_POSTER])
def test_what_is_a_keys_is_nobody_elses(deployed, role):
    for name, function in entries(role):
        contract = deployed.contracts[name]
        for other in {"stranger", "guardian", KEEPER, VOL_POSTER} - {role}:
            assert refusal(contract, name, entry_of(contract, function), getattr(deployed, other)) == REFUSED


def test_components_listen_to_each_other_only(deployed):
    listening = [(name, function) for name, function in entries(ITSELF) if name in deployed.contracts]
    assert len(listening) > 12
    for name, function in listening:
        contract = deployed.contracts[name]
        for sender in ("stranger", "governor", "guardian", "keeper"):
            with boa.env.anchor():
                given = arguments(name, entry_of(contract, function))
                with pytest.raises(BoaError):
                    getattr(contract, function)(*given, sender=getattr(deployed, sender))


@pytest.mark.parametrize(("name", "function"), entries(*GOVERNORS, GUARDIAN))
def test_a_call_of_the_governance_waits_as_long_as_its_class_says(deployed, name, function):
    """Invariant 41. A selector has one delay, whichever contract it is called of."""
    kind = PERMISSIONS[name][function]
    waits = {DAYS_2: 48 * HOUR, ONCE: 48 * HOUR, WEEK: 7 * DAY}.get(kind, 0 if function == "revoke_role" else 48 * HOUR)
    contract = deployed.contracts[name]
    selector = getattr(contract, function).prepare_calldata(*arguments(name, entry_of(contract, function)))[:4]

    assert deployed.governance.delay_of(selector) == waits


def test_the_governance_waits_for_what_concerns_itself(deployed):
    assert set(OWN_DELAYS) == {function for _, function in entries(SELF)}
    for function, delay in OWN_DELAYS.items():
        entry = entry_of(deployed.governance, function)
        selector = getattr(deployed.governance, function).prepare_calldata(*arguments("Governance", entry))[:4]
        assert deployed.governance.delay_of(selector) == delay


@pytest.mark.parametrize(("name", "function"), entries(ONCE))
def test_what_is_set_once_is_set_before_the_hand_over(deployed, name, function):
    """Attack A27: no component can be replaced, whoever waits for whatever."""
    contract = deployed.contracts[name]

    assert "already wired" in str(refusal(contract, name, entry_of(contract, function), deployed.governor))


# ---------------------------------------------------------------- the guardian at his worst


def guardians_worst(protocol):
    """Everything that a guardian can do, as harshly as he can."""
    for name, function in entries(GUARDIAN):
        contract = protocol.contracts[name]
        if function == "revoke_role":
            for account in (protocol.keeper, protocol.quoter.address, protocol.vol_poster, protocol.governor):
                contract.revoke_role(account, 2 + 4 + 8 + 16, sender=protocol.guardian)
        else:
            getattr(contract, function)(*HARSHEST[name, function], sender=protocol.guardian)


def test_the_worst_a_guardian_can_do_leaves_every_exit_open(hedged):
    """Invariants 40 and 42: the share price and what can be redeemed do not change, queue and holders are paid."""
    can_redeem, price = hedged.vault.maxRedeem(hedged.depositor), hedged.vault.convertToAssets(WAD)
    assert can_redeem > 50_000 * WAD

    guardians_worst(hedged)

    assert hedged.vault.maxRedeem(hedged.depositor) == can_redeem
    assert hedged.vault.convertToAssets(WAD) == price
    assert hedged.vault.redeem(can_redeem // 4, hedged.depositor, hedged.depositor, sender=hedged.depositor) > 0
    hedged.request(can_redeem // 4)
    hedged.close_epoch()
    shares, _ = hedged.settle_epoch()
    assert shares == can_redeem // 4
    hedged.queue.redeem(shares, hedged.depositor, hedged.depositor, sender=hedged.depositor)


def test_the_worst_a_guardian_can_do_lets_nobody_in(hedged):
    """Invariant 40."""
    guardians_worst(hedged)

    assert hedged.vault.maxDeposit(hedged.stranger) == 0
    assert not hedged.vault.accepts_new_risk()


def test_the_worst_a_guardian_can_do_lets_anyone_hedge_towards_neutral(sold, funded):
    """Invariants 40 and 43: he takes the keeper's key, and strangers act in its place."""
    funded.sell(sold, 12 * WAD)

    guardians_worst(funded)
    funded.last(30 * MINUTE)
    funded.de_risk(funded.leg(SPOT, 1))

    assert funded.spot.held() == WAD


def test_the_harshest_tightening_lets_the_keeper_hedge_and_the_surface_move(sold, funded):
    """Invariant 40. With a key each, both go on: a leg inside the band, a slice at another volatility."""
    for name, function in entries(GUARDIAN):
        if function != "revoke_role":
            getattr(funded.contracts[name], function)(*HARSHEST[name, function], sender=funded.guardian)

    funded.rebalance(funded.leg(SPOT, 1))
    funded.post_slice(vol=0.62, half_spread=0.021)

    assert funded.spot.held() == WAD


def test_what_a_guardian_did_the_governor_undoes_after_the_timelock(hedged):
    """Invariant 41."""
    guardians_worst(hedged)
    governed = Governed(hedged)
    governed.pass_time(1)

    governed.do(hedged.breaker, "set_reduce_only", False)
    governed.do(hedged.hedger, "set_budgets", Budgets())

    assert not hedged.breaker.latched()
    assert hedged.hedger.budgets() == Budgets()
