"""The shares under any sequence of deposits, exits, transfers, gifts, option trades, hedges, price moves and expiries.

Rows 1 to 9 of the invariants hold after every step. `make stress` runs it long; the fast run is a slice.
"""

from fractions import Fraction

import boa
import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.contracts.chain import HOUR, WAD, account
from tests.contracts.properties.shares import price
from tests.contracts.protocol import ETH, SPOT
from tests.stateful.success import SuccessRates

HOLDERS = [account(f"holder {number}") for number in range(3)]
SIDES = ("bid", "mid", "ask")
FLOOR, CEILING = 2_400.0, 3_700.0  # USD; so that the strikes stay within reach
NORMAL = 1  # Vault.Mode
STEPS = 25

holders = st.sampled_from(HOLDERS)
parts = st.integers(1, 100)


class Shares(RuleBasedStateMachine):
    """One vault from its first deposit on. Prices of a share are compared exactly, as fractions."""

    def __init__(self, protocol, rates: SuccessRates):
        super().__init__()
        self._anchor = boa.env.anchor()
        self._anchor.__enter__()
        self.p, self.vault, self.rates = protocol, protocol.vault, rates
        protocol.deposit(500_000 * protocol.unit, HOLDERS[0])
        self.open_series()

    def teardown(self):
        self._anchor.__exit__(None, None, None)

    def open_series(self):
        near = round(self.p.market.feed.latestAnswer() / 10**8 / 50) * 50
        self.expiry = self.p.expiry(2)
        self.p.post_slice(self.expiry)
        self.series = [
            self.p.list_series(near + 100, True, self.expiry),
            self.p.list_series(near - 100, False, self.expiry),
        ]

    def attempt(self, name: str, call, may_lose: bool = False):
        """Make a call as a rule; row 7: no price of a share falls but by a loss."""
        before = self.prices() if self.vault.totalSupply() > 0 else None
        if self.rates.attempt(name, call) and not may_lose and before is not None:
            fallen = [s for s, was, now in zip(SIDES, before, self.prices(), strict=True) if now < was]
            assert fallen == [], f"{name} lowers {fallen}"

    def prices(self) -> list[Fraction]:
        return [price(self.p, side) for side in SIDES]

    # ------------------------------------------------------------------ shares

    @rule(who=holders, amount=st.integers(100, 200_000), odd=st.integers(0, 999))
    def deposit(self, who, amount, odd):
        self.p.fund(who, amount * self.p.unit + odd)
        self.attempt("deposit", lambda: self.vault.deposit(amount * self.p.unit + odd, who, sender=who))

    @rule(who=holders, amount=st.integers(110, 200_000), odd=st.integers(0, 10**17))
    def mint(self, who, amount, odd):
        self.p.fund(who, 4 * amount * self.p.unit)
        self.attempt("mint", lambda: self.vault.mint(amount * WAD + odd, who, sender=who))

    @precondition(lambda self: any(self.vault.maxWithdraw(who) for who in HOLDERS))
    @rule(who=holders, part=parts)
    def withdraw(self, who, part):
        amount = -(-self.vault.maxWithdraw(who) * part // 100)
        if amount > 0:
            self.attempt("withdraw", lambda: self.vault.withdraw(amount, who, who, sender=who))

    @precondition(lambda self: any(self.vault.maxRedeem(who) for who in HOLDERS))
    @rule(who=holders, part=parts)
    def redeem(self, who, part):
        amount = self.vault.maxRedeem(who) * part // 100
        if self.vault.previewRedeem(amount) > 0:
            self.attempt("redeem", lambda: self.vault.redeem(amount, who, who, sender=who))

    @rule(who=holders, to=holders, part=parts)
    def transfer(self, who, to, part):
        amount = self.vault.balanceOf(who) * part // 100
        self.attempt("transfer", lambda: self.vault.transfer(to, amount, sender=who))

    @precondition(lambda self: not self.positions() and self.vault.owed() == 0)
    @rule()
    def everybody_leaves(self):
        for who in HOLDERS:
            amount = self.vault.maxRedeem(who)
            if amount > 0:
                self.attempt("leave", lambda a=amount, w=who: self.vault.redeem(a, w, w, sender=w))

    # ------------------------------------------------------------------ gifts

    @rule(amount=st.integers(1, 10**6), to=st.sampled_from(["vault", "book"]))
    def give(self, amount, to):
        """Row 8: a gift moves no price at all."""
        before = self.prices()
        self.p.fund(self.p.stranger, amount * self.p.unit)
        to_address = getattr(self.p, to).address
        self.attempt("give", lambda: self.p.asset.transfer(to_address, amount * self.p.unit, sender=self.p.stranger))
        assert self.prices() == before

    # ------------------------------------------------------------------ options and hedges

    def positions(self) -> int:
        """Units of options outstanding."""
        return sum(self.p.token.total_supply(series) for series in self.series)

    def can_sell(self) -> bool:
        return self.expiry - self.p.market.now > 25 * HOUR and self.vault.totalAssets() > 50_000 * self.p.unit

    @precondition(
        lambda self: self.expiry - self.p.market.now > 25 * HOUR and self.vault.totalAssets() > 50_000 * self.p.unit
    )
    @rule(which=st.integers(0, 1), tenths=st.integers(1, 15))
    def sell_options(self, which, tenths):
        self.refresh()
        self.attempt("sell options", lambda: self.p.sell(self.series[which], tenths * WAD // 10))

    @precondition(lambda self: self.expiry - self.p.market.now > 2 * HOUR and self.positions() >= WAD // 10)
    @rule(part=parts)
    def buy_back(self, part):
        held = {series: self.p.token.balanceOf(self.p.taker, series) for series in self.series}
        series = max(held, key=held.get)
        if held[series] < WAD // 10:
            return  # less than the minimum fill is settled only
        size = max(held[series] * part // 100, WAD // 10) // 10**9 * 10**9
        self.refresh()
        self.attempt("buy back", lambda: self.p.buy_back(series, size))

    @precondition(lambda self: bool(self.p.venues) and self.vault.totalSupply() > 0)
    @rule()
    def hedge(self):
        """Towards neutral in the spot venue, as far as it holds or cash allows."""
        delta = self.vault.assessment().delta[ETH] / WAD
        held = self.p.spot.state(WAD).exposure / WAD
        units = round(max(-delta, -held), 6)
        if abs(units) > 0.01:
            self.attempt("hedge", lambda: self.p.rebalance(self.p.leg(SPOT, units)), may_lose=True)

    def refresh(self):
        """A fresh surface: the vol poster's work."""
        self.p.post_slice(self.expiry)

    # ------------------------------------------------------------------ the market

    @rule(percent=st.integers(-6, 6))
    def price_moves(self, percent):
        now = self.p.market.feed.latestAnswer() / 10**8
        if self.expiry - self.p.market.now < HOUR:
            self.expire(now)
        self.p.market.move(min(max(now * (1 + percent / 100), FLOOR), CEILING))

    @rule(hours=st.integers(1, 48))
    def time_passes(self, hours):
        price_now = self.p.market.feed.latestAnswer() / 10**8
        if self.p.market.now + hours * HOUR >= self.expiry - HOUR:
            self.expire(price_now)
        else:
            self.p.market.wait(hours * HOUR)

    def expire(self, price_at_expiry: float):
        """The series settle and are paid, and new ones are listed."""
        live = [slot >> 87 << 87 for slot in self.p.book.live_book()]
        self.attempt("settle", lambda: self.p.settle(self.expiry, price_at_expiry), may_lose=True)
        self.attempt("fund", lambda: self.p.book.fund(sender=self.p.stranger))
        for series in live:
            if self.p.token.balanceOf(self.p.taker, series) > 0:
                self.attempt("claim", lambda s=series: self.p.book.claim(s, sender=self.p.taker))
        self.p.market.wait(HOUR)
        if self.vault.mode() == NORMAL:
            self.open_series()

    @rule()
    def checkpoint(self):
        self.attempt("checkpoint", lambda: self.vault.checkpoint(sender=self.p.stranger))

    @precondition(lambda self: self.vault.latched())
    @rule()
    def governor_unlatches(self):
        self.attempt("unlatch", lambda: self.vault.set_reduce_only(False, sender=self.p.governor))

    # ------------------------------------------------------------------ what holds after every step

    @invariant()
    def ledger(self):
        """Rows 1, 19 and 22: balances add up, assets cover the accounts, no approvals."""
        assert self.p.ledger_problems(HOLDERS) == []

    @invariant()
    def sides(self):
        """Rows 5 and 20: bid <= mid <= ask in every price; conversions do not depend on the caller."""
        a = self.vault.assessment()
        assert a.nav_bid <= a.nav_mid <= a.nav_ask
        amount = 777 * self.p.unit + 1
        assert self.vault.previewDeposit(amount) <= self.vault.convertToShares(amount)
        assert self.vault.convertToShares(amount) <= self.vault.previewWithdraw(amount)
        asked = {self.vault.convertToAssets(WAD, sender=who) for who in (*HOLDERS, self.p.stranger)}
        assert asked == {self.vault.convertToAssets(WAD)}

    @invariant()
    def limits_are_honoured(self):
        """Rows 3 and 4: what max* says is accepted at the previewed price, and one unit more is refused."""
        for who in HOLDERS:
            assets, shares = self.vault.maxWithdraw(who), self.vault.maxRedeem(who)
            with boa.env.anchor():
                if assets > 0:
                    expected = self.vault.previewWithdraw(assets)
                    assert self.vault.withdraw(assets, who, who, sender=who) == expected
            with boa.env.anchor():
                if shares > 0:
                    expected = self.vault.previewRedeem(shares)
                    assert self.vault.redeem(shares, who, who, sender=who) == expected
            with boa.env.anchor(), pytest.raises(boa.BoaError):
                self.vault.withdraw(assets + 1, who, who, sender=who)

    @invariant()
    def a_round_trip_gains_nothing(self):
        """Rows 2 and 6: in and out at once, exactly at the previews, for less than was paid."""
        who, amount = self.p.keeper, 12_345 * self.p.unit + 678
        with boa.env.anchor():
            if self.vault.maxDeposit(who) == 0:
                return
            self.p.fund(who, amount)
            start, at_ask = self.p.asset.balanceOf(who), price(self.p, "ask")
            expected = self.vault.previewDeposit(amount)
            shares = self.vault.deposit(amount, who, sender=who)
            assert shares == expected
            assert 0 <= amount / at_ask - shares < 1
            if self.vault.maxRedeem(who) > 0:
                self.vault.redeem(self.vault.maxRedeem(who), who, who, sender=who)
            left = self.vault.previewRedeem(self.vault.balanceOf(who))
            assert self.p.asset.balanceOf(who) + left <= start

    @invariant()
    def nothing_is_stranded(self):
        """Row 9: without shares there is nothing of value."""
        if self.vault.totalSupply() == 0 and not self.positions():
            assert self.vault.totalAssets() <= 1_000


@pytest.mark.timeout(3600)  # the long run
@pytest.mark.parametrize("decimals", [6, 8, 18])
def test_shares_keep_their_invariants(empty_vaults, decimals, capsys):
    """Rows 1 to 9. Over USDC with a real venue; over the others without, since venues trade USDC."""
    rates = SuccessRates()
    short = hypothesis.settings().max_examples < 100
    settings = hypothesis.settings(max_examples=8 if short else 200, stateful_step_count=STEPS if short else 2 * STEPS)

    run_state_machine_as_test(lambda: Shares(empty_vaults[decimals], rates), settings=settings)

    with capsys.disabled():
        print(f"\nshares over {decimals} decimals\n{rates.table()}")
    assert rates.too_low() == []
