"""modules/leaky_bucket: a budget that is spent at once and refills linearly."""

import boa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts import harness
from tests.contracts.chain import DAY, reverts


@pytest.fixture
def bucket(market):
    return harness.leaky_bucket()


def test_a_new_bucket_is_full(bucket):
    assert bucket.available(1_000, 100) == 1_000


def test_spending_leaves_the_rest(bucket):
    bucket.spend(300, 1_000, 100)

    assert bucket.available(1_000, 100) == 700


def test_all_of_it_can_be_spent_and_no_more(bucket):
    with reverts("budget: exhausted"):
        bucket.spend(1_001, 1_000, 100)
    bucket.spend(1_000, 1_000, 100)

    with reverts("budget: exhausted"):
        bucket.spend(1, 1_000, 100)


def test_it_refills_linearly_up_to_its_capacity(bucket):
    bucket.spend(1_000, 1_000, 400)
    boa.env.time_travel(seconds=DAY // 2)
    half_day = bucket.available(1_000, 400)
    boa.env.time_travel(seconds=10 * DAY)

    assert half_day == 200
    assert bucket.available(1_000, 400) == 1_000


def test_a_smaller_capacity_applies_at_once(bucket):
    bucket.spend(600, 1_000, 100)

    assert bucket.available(500, 100) == 0
    assert bucket.available(700, 100) == 100


def test_what_was_spent_before_a_tightening_is_not_forgotten(bucket):
    """Invariant 38. 600 of 1,000 are spent; of 200 a spending of nothing does not make 200."""
    bucket.spend(600, 1_000, 100)

    bucket.spend(0, 200, 100)
    boa.env.time_travel(seconds=4 * DAY)

    assert bucket.available(200, 100) == 0
    assert bucket.available(1_000, 100) == 800


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.tuples(st.integers(0, 1_200), st.integers(0, 2 * DAY)), max_size=12))
def test_what_is_spent_never_exceeds_capacity_and_refill(bucket, steps):
    """Invariants 37 and 38: whatever the sequence, and however a spending is split."""
    spent, start = 0, boa.env.timestamp
    for amount, pause in steps:
        take = min(amount, bucket.available(1_000, 400))
        bucket.spend(take, 1_000, 400)
        spent += take
        assert spent <= 1_000 + 400 * (boa.env.timestamp - start) // DAY
        boa.env.time_travel(seconds=pause)
