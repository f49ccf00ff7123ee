"""RiskEngine: no caller silences a venue by starving it, and no venue starves its caller. Necessary and sufficient."""

from pathlib import Path

import boa
import pytest
from boa.contracts.base_evm_contract import BoaError

from tests.contracts.chain import WAD, reason
from tests.contracts.protocol import ETH, Limits, fault

SOURCE = Path("contracts/RiskEngine.vy")
FLOOR = "assert msg.gas >= _MIN_GAS"
VENUE_GAS = 400_000  # what RiskEngine gives a venue
DISPATCH = 1_000  # of that the venue's own way to its first line
COUNTED, MISSING = "the venue is counted", "the venue is missing"


@pytest.fixture
def careful(hedged):
    """Beside the two real ones, a venue that needs all the gas that a venue is given, and reverts early without it."""
    listed = fault("GaspingVenue")
    hedged.vault.list_venue(listed, ETH, sender=hedged.governor)
    listed.be_careful(VENUE_GAS - DISPATCH)
    return hedged


def outcomes(protocol, engine):
    """What an engine says of the vault with any gas: whether the last venue was counted, or why there is no answer."""
    book, venues, cash = protocol.book.live_book(), protocol.vault.all_venues(), protocol.vault.cash()
    seen = set()
    for gas in range(300_000, 800_000, 2_000):
        try:
            seen.add(MISSING if engine.assess(book, venues, cash, gas=gas).venue_failed else COUNTED)
        except BoaError as error:
            seen.add(reason(error))
    return seen


def with_floor(protocol, text):
    """The engine with another condition before it asks a venue."""
    source = SOURCE.read_text()
    assert source.count(FLOOR) == 1
    deployer = boa.loads_partial(source.replace(FLOOR, text), filename=str(SOURCE))
    return deployer.deploy(protocol.governor, protocol.pricer, Limits())


def test_with_the_floor_there_is_the_whole_answer_or_none(careful):
    """Sufficient: a venue within its gas is heard at any gas, or the call reverts."""
    seen = outcomes(careful, careful.risk)

    assert seen >= {COUNTED, "risk: too little gas"}
    assert MISSING not in seen


def test_without_the_floor_a_caller_silences_the_venue(careful):
    """Necessary: the same search finds amounts of gas at which its 10,000 USDC and 3 units are not there."""
    assert MISSING in outcomes(careful, with_floor(careful, "assert msg.gas >= 0"))


def test_a_floor_of_what_the_venue_gets_is_too_low(careful):
    """Necessary: EIP-150 keeps a 64th back, so that the floor must be above 64/63 of it."""
    assert MISSING in outcomes(careful, with_floor(careful, f"assert msg.gas >= {VENUE_GAS}"))


def test_a_venue_that_burns_all_its_gas_leaves_enough_to_go_on(hedged):
    """Eight venues at worst: each burns what it gets, and the assessment still fits into a transaction many times."""
    for _ in range(6):
        listed = fault("GaspingVenue")
        hedged.vault.list_venue(listed, ETH, sender=hedged.governor)
        listed.burn()
    who = hedged.depositor

    hedged.vault.redeem(1_000 * WAD, who, who, sender=who, gas=16_000_000)

    assert hedged.vault.assessment(gas=5_000_000).venue_failed


def test_an_exit_reverts_rather_than_go_without_a_venue(careful):
    """Attack: leave at a price that a starved venue is missing from, when what is in it is a loss."""
    vault, who = careful.vault, careful.depositor
    worth = vault.previewRedeem(1_000 * WAD)
    paid = set()

    for gas in range(400_000, 2_400_000, 25_000):
        with boa.env.anchor():
            try:
                paid.add(vault.redeem(1_000 * WAD, who, who, sender=who, gas=gas))
            except BoaError:
                continue

    assert paid == {worth}
