"""CircuitBreaker.set_thresholds, tighten_thresholds, set_reduce_only: who may change it."""

import pytest

from tests.contracts.chain import USDC, WAD, events, reverts
from tests.contracts.protocol import Thresholds


def test_set_thresholds_replaces_them(protocol):
    thresholds = Thresholds(min_deposit=5 * USDC)

    protocol.breaker.set_thresholds(thresholds, sender=protocol.governor)

    (event,) = events(protocol.breaker, "ThresholdsSet")
    assert event.thresholds == thresholds
    assert protocol.breaker.thresholds() == thresholds


@pytest.mark.parametrize(
    "impossible",
    [
        {"kill_drawdown": WAD + 1},  # it would make checkpoint and rebalance underflow
        {"max_utilisation": WAD // 2 - 1},
        {"max_utilisation": WAD + 1},
        {"exit_capacity": WAD // 100 - 1},
        {"exit_per_day": WAD // 100 - 1},
        {"exit_capacity": 1_000 * WAD + 1},
        {"exit_per_day": 2**255},  # an overflow for every exit
        {"deposit_capacity": 1_000 * WAD + 1},
        {"deposit_per_day": 2**255},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_set_thresholds_refuses_what_would_close_exits_or_overflow(protocol, impossible):
    with reverts("breaker: thresholds"):
        protocol.breaker.set_thresholds(Thresholds(**impossible), sender=protocol.governor)


@pytest.mark.parametrize("role", ["guardian", "governor"])
@pytest.mark.parametrize(
    "tighter",
    [{"kill_drawdown": 0}, {"min_deposit": 10**12}, {"deposit_capacity": 0}, {"deposit_per_day": 0}],
    ids=lambda changes: "-".join(changes),
)
def test_the_guardian_tightens_at_once(protocol, role, tighter):
    """Invariant 41."""
    protocol.breaker.tighten_thresholds(Thresholds(**tighter), sender=getattr(protocol, role))

    assert protocol.breaker.thresholds() == Thresholds(**tighter)


@pytest.mark.parametrize("field", ["kill_drawdown", "deposit_capacity", "deposit_per_day", "min_deposit"])
def test_tightening_loosens_nothing(protocol, field):
    """Invariant 40."""
    now = Thresholds()
    looser = now._replace(**{field: getattr(now, field) + (-1 if field == "min_deposit" else 1)})

    with reverts("breaker: looser"):
        protocol.breaker.tighten_thresholds(looser, sender=protocol.guardian)


@pytest.mark.parametrize("field", ["max_utilisation", "exit_capacity", "exit_per_day"])
@pytest.mark.parametrize("change", [-1, 1])
def test_the_guardian_slows_no_exit_down(protocol, field, change):
    """Invariants 40 and 42."""
    now = Thresholds()

    with reverts("breaker: exits"):
        protocol.breaker.tighten_thresholds(
            now._replace(**{field: getattr(now, field) + change}), sender=protocol.guardian
        )


def test_tightening_is_for_guardian_and_governor(protocol):
    with reverts("roles: not allowed"):
        protocol.breaker.tighten_thresholds(Thresholds(), sender=protocol.keeper)


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
        lambda: protocol.breaker.on_exit(assessment, WAD, 0, 1, sender=protocol.governor),
        lambda: protocol.breaker.on_sale(assessment, WAD, sender=protocol.governor),
        lambda: protocol.breaker.on_deposit(assessment, WAD, 100 * USDC, protocol.stranger, sender=protocol.governor),
    ):
        with reverts("breaker: not the vault"):
            call()
