"""CircuitBreaker.set_thresholds, set_reduce_only: who may change it."""

import pytest

from tests.contracts.chain import USDC, WAD, events, reverts
from tests.contracts.protocol import Thresholds


def test_set_thresholds_replaces_them(protocol):
    thresholds = Thresholds(min_deposit=5 * USDC)

    protocol.breaker.set_thresholds(thresholds, sender=protocol.governor)

    (event,) = events(protocol.breaker, "ThresholdsSet")
    assert event.thresholds == thresholds
    assert protocol.breaker.thresholds() == thresholds


def test_set_thresholds_refuses_a_kill_level_above_one(protocol):
    """It would make checkpoint and rebalance underflow."""
    with reverts("breaker: thresholds"):
        protocol.breaker.set_thresholds(Thresholds(kill_drawdown=WAD + 1), sender=protocol.governor)


def test_set_thresholds_refuses_others(protocol):
    with reverts("roles: not allowed"):
        protocol.breaker.set_thresholds(Thresholds(), sender=protocol.guardian)


@pytest.mark.parametrize("role", ["guardian", "governor"])
def test_reduce_only_is_latched_by_guardian_and_governor(protocol, role):
    protocol.breaker.set_reduce_only(True, sender=getattr(protocol, role))

    (event,) = events(protocol.breaker, "ReduceOnlySet")
    assert event.latched
    assert protocol.breaker.latched()
    assert not protocol.vault.accepts_new_risk()


def test_reduce_only_is_unlatched_by_the_governor_alone(protocol):
    protocol.breaker.set_reduce_only(True, sender=protocol.guardian)

    with reverts("roles: not allowed"):
        protocol.breaker.set_reduce_only(False, sender=protocol.guardian)
    protocol.breaker.set_reduce_only(False, sender=protocol.governor)

    assert not protocol.breaker.latched()
    assert protocol.vault.accepts_new_risk()


@pytest.mark.parametrize("role", ["keeper", "stranger"])
def test_reduce_only_refuses_others(protocol, role):
    with reverts("roles: not allowed"):
        protocol.breaker.set_reduce_only(True, sender=getattr(protocol, role))


def test_what_the_vault_tells_it_nobody_else_can(protocol):
    assessment = protocol.vault.assessment()

    for call in (
        lambda: protocol.breaker.observe(assessment, WAD, sender=protocol.governor),
        lambda: protocol.breaker.on_deposit(assessment, WAD, 100 * USDC, protocol.stranger, sender=protocol.governor),
    ):
        with reverts("breaker: not the vault"):
            call()
