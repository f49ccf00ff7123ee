"""Vault.wire, list_venue, grant_role, revoke_role: who may change it."""

import pytest

from tests.contracts.chain import events, reverts
from tests.contracts.protocol import ETH, GOVERNOR, GUARDIAN, KEEPER, QUOTER, ZERO, fault, load


@pytest.fixture
def unwired(protocol):
    """A Vault that does not know its OptionBook yet."""
    return load("Vault").deploy(protocol.governor, protocol.market.usdc, protocol.risk)


def components(protocol):
    """What a Vault is wired to, in order; a stranger stands for the BuybackAuction."""
    return protocol.book, protocol.queue, protocol.hedger, protocol.stranger, protocol.breaker


def test_wire_names_the_components(protocol, unwired):
    unwired.wire(*components(protocol), sender=protocol.governor)

    assert unwired.option_book() == protocol.book.address
    assert unwired.redemption_queue() == protocol.queue.address
    assert unwired.hedger() == protocol.hedger.address
    assert unwired.auction() == protocol.stranger
    assert unwired.breaker() == protocol.breaker.address


def test_wire_works_once(protocol):
    with reverts("vault: already wired"):
        protocol.vault.wire(*[protocol.stranger] * 5, sender=protocol.governor)


def test_wire_refuses_others(protocol, unwired):
    with reverts("roles: not allowed"):
        unwired.wire(*components(protocol), sender=protocol.stranger)


def test_list_venue_appends(protocol):
    venue = fault("LyingVenue")

    protocol.vault.list_venue(venue, ETH, sender=protocol.governor)

    (event,) = events(protocol.vault, "VenueListed")
    assert (event.index, event.venue, event.underlying) == (2, venue.address, ETH)
    assert protocol.vault.venues(2) == (venue.address, ETH)


def test_list_venue_refuses_a_second_listing(protocol):
    with reverts("vault: venue already listed"):
        protocol.vault.list_venue(protocol.spot, ETH, sender=protocol.governor)


def test_list_venue_refuses_another_underlying_than_the_venues(protocol):
    pools = [protocol.spot.pools(0)]
    venue = load("venues/UniswapV3Spot").deploy(
        protocol.vault, 1, protocol.spot.USDC(), protocol.spot.TOKEN(), 18, pools
    )

    with reverts("vault: no venue of this underlying"):
        protocol.vault.list_venue(venue, ETH, sender=protocol.governor)


def test_list_venue_refuses_an_underlying_that_the_risk_engine_does_not_know(protocol):
    """It would stop every valuation, and with it every exit."""
    pools = [protocol.spot.pools(0)]
    venue = load("venues/UniswapV3Spot").deploy(
        protocol.vault, 1, protocol.spot.USDC(), protocol.spot.TOKEN(), 18, pools
    )

    with reverts():  # an index beyond the RiskEngine's underlyings
        protocol.vault.list_venue(venue, 1, sender=protocol.governor)


def test_list_venue_refuses_others(protocol):
    with reverts("roles: not allowed"):
        protocol.vault.list_venue(fault("LyingVenue"), ETH, sender=protocol.keeper)


CONTRACTS = ("vault", "breaker", "hedger", "book", "vol_oracle", "risk")


@pytest.mark.parametrize("name", CONTRACTS)
def test_governor_grants_and_revokes(protocol, name):
    contract = getattr(protocol, name)

    contract.grant_role(protocol.stranger, KEEPER | QUOTER, sender=protocol.governor)
    (granted,) = events(contract, "RoleGranted")
    contract.revoke_role(protocol.stranger, QUOTER, sender=protocol.governor)
    (revoked,) = events(contract, "RoleRevoked")

    assert (granted.account, granted.role) == (protocol.stranger, KEEPER | QUOTER)
    assert (revoked.account, revoked.role) == (protocol.stranger, QUOTER)
    assert contract.roles_of(protocol.stranger) == KEEPER


@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.parametrize("role", ["guardian", "keeper", "stranger"])
def test_granting_refuses_others(protocol, name, role):
    with reverts("roles: not allowed"):
        getattr(protocol, name).grant_role(protocol.stranger, KEEPER, sender=getattr(protocol, role))


@pytest.mark.parametrize("name", CONTRACTS)
def test_revoking_refuses_others(protocol, name):
    with reverts("roles: not allowed"):
        getattr(protocol, name).revoke_role(protocol.guardian, GUARDIAN, sender=protocol.keeper)


@pytest.mark.parametrize("name", CONTRACTS)
def test_guardian_revokes_keys_at_once(protocol, name):
    contract = getattr(protocol, name)
    contract.grant_role(protocol.keeper, KEEPER | QUOTER, sender=protocol.governor)

    contract.revoke_role(protocol.keeper, KEEPER | QUOTER, sender=protocol.guardian)

    assert contract.roles_of(protocol.keeper) == 0


@pytest.mark.parametrize("name", CONTRACTS)
@pytest.mark.parametrize("role", [GOVERNOR, GOVERNOR | KEEPER])
@pytest.mark.parametrize("who", ["guardian", "governor"])
def test_nobody_revokes_the_governor(protocol, name, role, who):
    with reverts("roles: governor is handed over"):
        getattr(protocol, name).revoke_role(protocol.governor, role, sender=getattr(protocol, who))


@pytest.mark.parametrize("name", CONTRACTS)
def test_there_is_one_governor(protocol, name):
    with reverts("roles: governor is handed over"):
        getattr(protocol, name).grant_role(protocol.stranger, GOVERNOR | KEEPER, sender=protocol.governor)


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_governor_hands_over_and_keeps_nothing(protocol, name):
    contract = getattr(protocol, name)

    contract.hand_over(protocol.stranger, sender=protocol.governor)

    assert [event.account for event in events(contract, "RoleRevoked")] == [protocol.governor]
    assert [event.account for event in events(contract, "RoleGranted")] == [protocol.stranger]
    assert contract.roles_of(protocol.governor) == 0
    assert contract.roles_of(protocol.stranger) == GOVERNOR
    with reverts("roles: not allowed"):
        contract.grant_role(protocol.governor, KEEPER, sender=protocol.governor)


@pytest.mark.parametrize("name", CONTRACTS)
def test_only_the_governor_hands_over(protocol, name):
    with reverts("roles: not allowed"):
        getattr(protocol, name).hand_over(protocol.guardian, sender=protocol.guardian)
    with reverts("roles: zero governor"):
        getattr(protocol, name).hand_over(ZERO, sender=protocol.governor)


def test_deployment_without_governor_is_refused(protocol):
    with reverts("roles: zero governor"):
        load("Vault").deploy("0x" + "00" * 20, protocol.market.usdc, protocol.risk)
