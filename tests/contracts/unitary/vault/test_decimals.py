"""The Vault takes an asset of any number of decimals up to 18; its shares always have 18."""

import boa
import pytest

from tests.contracts.chain import WAD, reverts
from tests.contracts.protocol import ZERO, Thresholds, VegaBudgets, load

SOURCE = "tests/contracts/tokens/PlainToken.vy"


def vault_over(protocol, decimals):
    """An empty vault with the protocol's options and oracles over a new token, and that token."""
    with boa.env.prank(protocol.governor):
        token = boa.load_partial(SOURCE).deploy(decimals)
        vault = load("Vault").deploy(protocol.governor, token, protocol.risk)
        listings = [(50 * WAD, WAD // 10)]
        book = load("OptionBook").deploy(
            protocol.governor, vault, protocol.pricer, protocol.price_oracle, token, listings, VegaBudgets()
        )
        thresholds = Thresholds(min_deposit=100 * 10**decimals)
        queue = load("RedemptionQueue").deploy(vault, protocol.price_oracle, 1)
        breaker = load("CircuitBreaker").deploy(protocol.governor, vault, book, queue, thresholds)
        vault.wire(book, queue, protocol.stranger, ZERO, breaker)
        token.mint(protocol.depositor, 10_000 * 10**decimals)
    token.approve(vault, 2**256 - 1, sender=protocol.depositor)
    return vault, token


@pytest.mark.parametrize("decimals", [0, 6, 8, 18])
def test_first_price_is_one_and_all_of_it_comes_back(protocol, decimals):
    vault, token = vault_over(protocol, decimals)
    amount = 1_000 * 10**decimals

    shares = vault.deposit(amount, protocol.depositor, sender=protocol.depositor)
    worth = vault.convertToAssets(shares)
    nav = vault.assessment().nav_bid
    vault.redeem(shares, protocol.depositor, protocol.depositor, sender=protocol.depositor)

    assert vault.decimals() == 18
    assert shares == 1_000 * WAD
    assert worth == amount
    assert nav == 1_000 * WAD
    assert token.balanceOf(protocol.depositor) == 10_000 * 10**decimals
    assert vault.totalSupply() == 0


def test_more_than_eighteen_decimals_are_refused(protocol):
    with reverts("vault: asset decimals"):
        vault_over(protocol, 19)
