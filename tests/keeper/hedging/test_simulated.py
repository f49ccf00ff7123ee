"""Books hedged along simulated paths: the table of deltas against deltas, what is left against the literature."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.hedging.simulated import OptionBook, delta_table, hedged_pnl
from keeper.pricing.black76 import greeks, price


def ten_options(years: float = 32 / 365) -> OptionBook:
    """A short strangle ladder around 3,000, as long as the benchmark's 720 hours and two days more."""
    strikes = np.linspace(2_400.0, 3_600.0, 10)
    return OptionBook(
        np.linspace(-6, -2, 10), strikes, strikes > 3_000, np.linspace(0.75, 0.55, 10), np.full(10, years)
    )


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 32 / 365 - 1 / 8760), st.integers(0, 2**32 - 1))
def test_hedge_ratios_of_the_table_are_right_to_a_ten_thousandth(elapsed: float, seed: int) -> None:
    book = ten_options()
    x = np.log(3_000.0) + np.random.default_rng(seed).uniform(-1, 1, 500)

    table = delta_table(book, elapsed, np.log(3_000.0) - 1, np.log(3_000.0) + 1)

    exact = greeks(np.exp(x)[:, None], book.strike, book.vol, book.years - elapsed, book.is_call).delta @ book.size
    assert np.max(np.abs(table.at(x) - exact)) <= 1e-4 * np.abs(book.size).sum()


def test_beyond_the_table_the_last_delta_holds() -> None:
    table = delta_table(ten_options(), 0.0, np.log(2_900.0), np.log(3_100.0))

    assert table.at(np.log(np.array([1_000.0, 9_000.0]))) == pytest.approx(
        table.at(np.log(np.array([2_900.0, 3_100.0])))
    )


def test_what_is_left_is_what_exact_deltas_leave_on_the_same_paths() -> None:
    book, steps, count = ten_options(), 60, 2_000
    dt = 30 / 365 / steps

    draws = np.random.default_rng(3)
    ours = hedged_pnl(book, 3_000.0, 0.65, 30 / 365, steps, lambda: draws.standard_normal(count))

    rng = np.random.default_rng(3)
    spot, gained = np.full(count, 3_000.0), np.zeros(count)

    def of_book(spots: np.ndarray, elapsed: float) -> tuple[np.ndarray, np.ndarray]:
        years = book.years - elapsed
        found = greeks(spots[:, None], book.strike, book.vol, years, book.is_call)
        return found.price @ book.size, found.delta @ book.size

    begun = of_book(spot, 0.0)[0]
    for step in range(steps):
        after = spot * np.exp(-(0.65**2) * dt / 2 + 0.65 * np.sqrt(dt) * rng.standard_normal(count))
        gained -= of_book(spot, step * dt)[1] * (after - spot)
        spot = after
    exact = gained + of_book(spot, 30 / 365)[0] - begun
    assert ours == pytest.approx(exact, abs=1e-4 * 3_000 * np.abs(book.size).sum() * 0.05)


@pytest.mark.parametrize(("steps", "published"), [(21, 0.427), (84, 0.217)])
def test_the_hedging_error_is_derman_and_kamals(steps: int, published: float) -> None:
    """At r = 0 the option is worth 2.302; the error is of the same size: sd ≈ √(π/4) vega σ / √steps."""
    book = OptionBook(
        np.array([-1.0]), np.array([100.0]), np.array([True]), np.array([0.2]), np.array([1 / 12])
    )  # fmt: skip
    rng = np.random.default_rng(8)

    left = hedged_pnl(book, 100.0, 0.2, 1 / 12, steps, lambda: rng.standard_normal(20_000))

    assert left.mean() == pytest.approx(0.0, abs=0.012)
    assert left.std() == pytest.approx(published, rel=0.04)
    assert price(100.0, 100.0, 0.2, 1 / 12, True) == pytest.approx(2.3029, abs=1e-3)
