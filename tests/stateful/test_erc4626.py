"""The shares under any sequence of deposits, exits, transfers, gifts, option trades, hedges, price moves and expiries,
with fees, and with redemptions through the queue.

Invariants 1 to 11 of the invariants hold after every step. `make stress` runs it long; the fast run is a slice.
"""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

import boa
import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.contracts.chain import DAY, HOUR, WAD, account, reverts
from tests.contracts.properties.shares import price
from tests.contracts.protocol import ETH, SPOT, wad
from tests.stateful.success import SuccessRates

HOLDERS = [account(f"holder {number}") for number in range(3)]
RECIPIENT = HOLDERS[2]  # of the fees: holds shares of his own besides
SIDES = ("bid", "mid", "ask")
FLOOR, CEILING = 2_400.0, 3_700.0  # USD; so that the strikes stay within reach
NORMAL = 1  # Vault.Mode
STEPS = 25
PERIOD = 30 * DAY  # between two crystallisations
MOST = (wad(0.02), wad(0.20))  # invariant 11: management a year, performance
YEAR = 365 * DAY

holders = st.sampled_from(HOLDERS)
parts = st.integers(1, 100)


@dataclass(frozen=True)
class Worth:
    """What shares are worth at one moment, WAD, exact; with the virtual unit of the asset and the virtual shares."""

    nav: dict[str, int]  # by side, before fees
    shares: int  # with those owed as fees
    owed: int  # as fees, not minted yet

    def price(self, side: str) -> Fraction:
        return Fraction(self.nav[side], self.shares)


class Shares(RuleBasedStateMachine):
    """One vault from its first deposit on, under 1 % a year and 10 % of gains. Prices are compared exactly."""

    def __init__(self, protocol, rates: SuccessRates):
        super().__init__()
        self._anchor = boa.env.anchor()
        self._anchor.__enter__()
        self.p, self.vault, self.queue, self.rates = protocol, protocol.vault, protocol.queue, rates
        self.given: Counter[str] = Counter()  # assets that were given to a contract, by its name
        self.mark = self.supply = 0
        for who in (*HOLDERS, protocol.keeper):
            self.vault.approve(self.queue, 2**256 - 1, sender=who)
        self.vault.set_fees((RECIPIENT, wad(0.01), wad(0.10)), sender=protocol.governor)
        protocol.deposit(500_000 * protocol.unit, HOLDERS[0])
        self.open_series()
        for series in self.series:  # so that there is something to earn a fee on
            protocol.sell(series, 5 * WAD)

    def teardown(self):
        self._anchor.__exit__(None, None, None)

    def open_series(self):
        near = round(self.p.market.feed.latestAnswer() / 10**8 / 50) * 50
        self.expiry = self.p.expiry(2)
        self.p.post_slice(self.expiry)
        self.series = [
            self.p.list_series(near + 100, True, self.expiry),
            self.p.list_series(near - 100, not self.p.venues, self.expiry),  # no puts where they cannot be hedged
        ]

    def worth(self) -> Worth:
        a, scale, shares = self.vault.assessment(), WAD // self.p.unit, self.vault.effective_supply()
        nav = {side: max(getattr(a, f"nav_{side}"), 0) + scale for side in SIDES}
        return Worth(nav, shares + scale, shares - self.vault.totalSupply())

    def attempt(self, name: str, call, may_lose: bool = False) -> bool:
        """Make a call as a rule.

        Invariant 10: it earns no more fee than the agreed part of what it adds to `nav_bid`; none on principal, but on
        what rounding leaves to the vault: a unit of the asset from NAV and one from the amount. Invariant 7: no price
        of a share falls but by a loss, or by that fee where a side gains less than the bid.
        """
        if self.vault.totalSupply() == 0:
            return self.rates.attempt(name, call)
        supply, before, rate = self.vault.totalSupply(), self.worth(), self.vault.terms().performance
        if not self.rates.attempt(name, call):
            return False
        after = self.worth()
        is_flow = self.vault.totalSupply() != supply
        gain = 2 * WAD // self.p.unit if is_flow else max(after.nav["bid"] - before.nav["bid"], 0)
        assert (after.owed - before.owed) * after.nav["bid"] * WAD <= rate * gain * after.shares, f"{name}: the fee"
        if is_flow:
            fallen = [side for side in SIDES if after.price(side) < before.price(side)]
        else:
            fallen = [side for side in SIDES if after.nav[side] < before.nav[side]]
            fallen += ["bid after the fee"] if after.price("bid") < before.price("bid") else []
        assert may_lose or fallen == [], f"{name} lowers {fallen}"
        return True

    # ------------------------------------------------------------------ shares

    @rule(who=holders, amount=st.integers(100, 200_000), odd=st.integers(0, 999))
    def deposit(self, who, amount, odd):
        """As much as may come today, where it is less."""
        paid = min(amount * self.p.unit + odd, self.vault.maxDeposit(who) or 2**256 - 1)
        self.p.fund(who, paid)
        self.attempt("deposit", lambda: self.vault.deposit(paid, who, sender=who))

    @rule(who=holders, amount=st.integers(110, 200_000), odd=st.integers(0, 10**17))
    def mint(self, who, amount, odd):
        shares = min(amount * WAD + odd, self.vault.maxMint(who) or 2**256 - 1)
        self.p.fund(who, 4 * amount * self.p.unit)
        self.attempt("mint", lambda: self.vault.mint(shares, who, sender=who))

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

    # ------------------------------------------------------------------ the queue

    @precondition(lambda self: any(self.vault.balanceOf(who) >= 100 * WAD for who in HOLDERS))
    @rule(part=parts)
    def request(self, part):
        """By the largest holder."""
        who = max(HOLDERS, key=self.vault.balanceOf)
        amount = max(self.vault.balanceOf(who) * part // 100, 100 * WAD)
        self.attempt("request", lambda: self.queue.requestRedeem(amount, who, who, sender=who))

    @rule(who=holders)
    def cancel(self, who):
        """Invariant 18."""
        request, before = self.queue.request_of(who), self.vault.balanceOf(who)
        if request.waiting > 0 and request.epoch == self.queue.epoch():
            self.attempt("cancel", lambda: self.queue.cancel(who, who, sender=who))
            assert self.vault.balanceOf(who) == before + request.waiting

    @rule()
    def settle_queue(self):
        """At the bid of this block, and no unit more. When nobody waits somebody asks first."""
        if self.queue.next_settlement().shares == 0 and self.vault.totalSupply() >= 600 * WAD:
            self.request(20)
        if self.queue.next_settlement().shares == 0:
            return
        self.reach(self.queue.next_settlement().closes_at + 60)
        at_bid, paid = price(self.p, "bid"), self.assets_in("queue")
        shares = self.vault.totalSupply()
        if self.attempt("settle queue", lambda: self.queue.settle_epoch(sender=self.p.stranger)):
            assets, burned = self.assets_in("queue") - paid, shares - self.vault.totalSupply()
            assert assets <= burned * at_bid
            assert burned * at_bid - assets < 1 + at_bid

    @rule(part=parts)
    def claim(self, part):
        who = max(HOLDERS, key=self.queue.maxRedeem)
        if self.queue.maxRedeem(who) == 0:
            self.settle_queue()
        amount = -(-self.queue.maxRedeem(who) * part // 100)
        if amount > 0:
            self.attempt("claim", lambda: self.queue.redeem(amount, who, who, sender=who))

    @precondition(lambda self: self.vault.maxDeposit(HOLDERS[0]) > 0)
    @rule(amount=st.integers(200, 50_000))
    def a_round_trip_by_the_queue_gains_nothing(self, amount):
        """Invariant 2: who deposits and leaves by the queue gets at most what the price of a share makes of it."""
        who, paid = self.p.keeper, min(amount * self.p.unit, self.vault.maxDeposit(self.p.keeper))
        with boa.env.anchor():
            self.p.fund(who, paid)
            start, at_ask = self.p.asset.balanceOf(who), price(self.p, "ask")
            shares = self.vault.deposit(paid, who, sender=who)
            self.queue.requestRedeem(shares, who, who, sender=who)
            best = Fraction(0)
            for _ in range(4):
                step = self.queue.next_settlement()
                if step.closes_at + HOUR > self.expiry:
                    break
                self.p.market.wait(max(step.closes_at + 60 - self.p.market.now, 0))
                best = max(best, price(self.p, "bid"))
                if not self.queue.can_settle():
                    break
                self.queue.settle_epoch(sender=self.p.stranger)
            claimable = self.queue.maxRedeem(who)
            if claimable > 0:
                self.queue.redeem(claimable, who, who, sender=who)
            got = self.p.asset.balanceOf(who) - start + paid
            waiting = self.queue.pendingRedeemRequest(0, who)
            assert claimable + waiting <= shares
            assert got <= claimable * best + 1
            assert got <= Fraction(paid) * claimable / shares * max(best / at_ask, 1) + 1
            self.rates.attempt("round trip by queue", lambda: None)

    # ------------------------------------------------------------------ fees

    @rule()
    def crystallise(self):
        """Minting what is owed gives it to the recipient and moves no price."""
        self.reach(self.vault.accrual().crystallised_at + PERIOD)
        before, held = self.worth(), self.vault.balanceOf(RECIPIENT)
        if self.attempt("crystallise", lambda: self.vault.crystallise(sender=self.p.stranger)):
            assert self.worth() == Worth(before.nav, before.shares, 0)
            assert self.vault.balanceOf(RECIPIENT) == held + before.owed

    @rule(management=st.integers(0, 3), performance=st.integers(0, 3))
    def the_fees_change(self, management, performance):
        """Invariant 11: half as much again as the cap is refused."""
        terms = (RECIPIENT, MOST[0] * management // 2, MOST[1] * performance // 2)
        if 3 in (management, performance):
            with reverts("fees: above the cap"):
                self.vault.set_fees(terms, sender=self.p.governor)
        else:
            before, held, rate = self.worth(), self.vault.balanceOf(RECIPIENT), self.vault.terms().performance
            if self.attempt("fees change", lambda: self.vault.set_fees(terms, sender=self.p.governor)):
                after = self.worth()
                assert self.vault.balanceOf(RECIPIENT) == held  # nothing is minted early
                assert after.nav == before.nav
                assert after.owed <= before.owed  # nor charged for what was gained before
                assert before.owed - after.owed <= 10**9 or terms[2] < rate

    # ------------------------------------------------------------------ gifts

    @rule(amount=st.integers(1, 10**6), to=st.sampled_from(["vault", "clearing", "queue"]))
    def give(self, amount, to):
        """Invariant 8: a gift moves no price at all."""
        before = self.worth()
        self.p.fund(self.p.stranger, amount * self.p.unit)
        to_address = getattr(self.p, to).address
        self.attempt("give", lambda: self.p.asset.transfer(to_address, amount * self.p.unit, sender=self.p.stranger))
        self.given[to] += amount * self.p.unit
        assert self.worth() == before

    def assets_in(self, name: str) -> int:
        return int(self.p.asset.balanceOf(getattr(self.p, name)))

    # ------------------------------------------------------------------ options and hedges

    def positions(self) -> int:
        """Units of options outstanding."""
        return sum(self.p.token.total_supply(series) for series in self.series)

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
        if self.p.market.now + hours * HOUR >= self.expiry - HOUR:
            self.expire(self.p.market.feed.latestAnswer() / 10**8)
        else:
            self.p.market.wait(hours * HOUR)

    def reach(self, time: int):
        """Wait until `time`, through the expiries on the way."""
        while self.p.market.now < self.expiry <= time + HOUR:
            self.expire(self.p.market.feed.latestAnswer() / 10**8)
        if self.p.market.now < time:
            self.p.market.wait(time - self.p.market.now)

    def expire(self, price_at_expiry: float):
        """The series settle and are paid, and new ones are listed."""
        if self.p.market.now < self.expiry:
            live = [slot >> 87 << 87 for slot in self.p.book.live_book()]
            proof = self.p.reach_expiry(self.expiry, price_at_expiry)
            self.p.market.submit_usdc()
            settle = self.p.book.settle
            self.attempt("settle", lambda: settle(ETH, self.expiry, *proof, sender=self.p.stranger), may_lose=True)
            self.attempt("fund", lambda: self.p.clearing.fund(sender=self.p.stranger))
            for series in live:
                if self.p.token.balanceOf(self.p.taker, series) > 0:
                    self.attempt("claim options", lambda s=series: self.p.clearing.claim(s, sender=self.p.taker))
        self.p.market.wait(HOUR)
        if self.vault.mode() == NORMAL:
            self.open_series()

    @rule()
    def checkpoint(self):
        self.attempt("checkpoint", lambda: self.vault.checkpoint(sender=self.p.stranger))

    @precondition(lambda self: self.p.breaker.latched())
    @rule()
    def governor_unlatches(self):
        self.attempt("unlatch", lambda: self.p.breaker.set_reduce_only(False, sender=self.p.governor))

    # ------------------------------------------------------------------ what holds after every step

    @invariant()
    def ledger(self):
        """Invariants 1, 19 and 22: balances add up, assets cover the accounts, no approvals."""
        assert self.p.ledger_problems([*HOLDERS, str(self.queue.address)]) == []

    @invariant()
    def every_unit_is_accounted_for(self):
        """Invariant 47: what comes in or goes out of a contract is in its accounts, to the unit; the rest are gifts."""
        accounts = {"vault": self.vault.idle(), "clearing": self.p.clearing.funded(), "queue": self.queue.reserved()}
        assert {name: self.assets_in(name) - account for name, account in accounts.items()} == {
            name: self.given[name] for name in accounts
        }
        assert self.vault.balanceOf(self.queue) == self.queue.total_pending()

    @invariant()
    def sides(self):
        """Invariants 5 and 20: bid <= mid <= ask in every price; conversions do not depend on the caller."""
        a = self.vault.assessment()
        assert a.nav_bid <= a.nav_mid <= a.nav_ask
        amount = 777 * self.p.unit + 1
        assert self.vault.previewDeposit(amount) <= self.vault.convertToShares(amount)
        assert self.vault.convertToShares(amount) <= self.vault.previewWithdraw(amount)
        asked = {self.vault.convertToAssets(WAD, sender=who) for who in (*HOLDERS, self.p.stranger)}
        assert asked == {self.vault.convertToAssets(WAD)}

    @invariant()
    def fees_are_within_their_terms(self):
        """Invariants 10 and 11: what is owed is, to a few wei, a part of the year and of what exceeds the mark; nothing
        below; the mark never falls while there are shares.
        """
        terms, accrual, worth = self.vault.terms(), self.vault.accrual(), self.worth()
        assert (terms.management, terms.performance) <= MOST
        years = Fraction(self.p.market.now - accrual.accrued_at, YEAR)
        supply = self.vault.totalSupply()
        before = worth.shares - worth.owed + accrual.owed + Fraction(terms.management, WAD) * supply * years
        gain = max(worth.nav["bid"] - Fraction(accrual.mark, WAD) * before, Fraction(0))
        fee = gain * terms.performance / WAD if supply > 0 else Fraction(0)
        assert 0 <= before * worth.nav["bid"] / (worth.nav["bid"] - fee) - worth.shares < 10
        assert supply < self.supply or accrual.mark >= self.mark  # who came lately takes back what he raised it by
        self.mark, self.supply = (accrual.mark, supply) if supply > 0 else (0, 0)

    @invariant()
    def limits_are_honoured(self):
        """Invariants 3 and 4: what max* says is accepted at the previewed price, and one unit more is refused."""
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
    def claims_are_honoured(self):
        """Invariants 4 and 42: what the queue says is claimable is paid, whatever state the vault is in."""
        for who in HOLDERS:
            assets, before = self.queue.maxWithdraw(who), self.p.asset.balanceOf(who)
            with boa.env.anchor():
                if assets > 0:
                    self.queue.withdraw(assets, who, who, sender=who)
                assert self.p.asset.balanceOf(who) == before + assets

    @invariant()
    def a_round_trip_gains_nothing(self):
        """Invariants 2 and 6: in and out at once, exactly at the previews, for less than was paid. The mark is rounded
        by less than a wei per share against the fees' recipient; the fee on that may come back, with 18 decimals only.
        """
        who, amount = self.p.keeper, 12_345 * self.p.unit + 678
        with boa.env.anchor():
            if self.vault.maxDeposit(who) == 0:
                return
            amount = min(amount, self.vault.maxDeposit(who))
            self.p.fund(who, amount)
            start, at_ask = self.p.asset.balanceOf(who), price(self.p, "ask")
            expected = self.vault.previewDeposit(amount)
            shares = self.vault.deposit(amount, who, sender=who)
            assert shares == expected
            assert 0 <= amount / at_ask - shares < 1
            if self.vault.maxRedeem(who) > 0:
                self.vault.redeem(self.vault.maxRedeem(who), who, who, sender=who)
            left = self.vault.previewRedeem(self.vault.balanceOf(who))
            uncharged = (self.vault.terms().performance * shares // WAD**2 + 1) * self.p.unit // WAD
            assert self.p.asset.balanceOf(who) + left <= start + uncharged

    @invariant()
    def nothing_is_stranded(self):
        """Invariant 9: without shares there is nothing of value, but for what is owed as fees."""
        if self.vault.totalSupply() == 0 and not self.positions():
            assert self.vault.totalAssets() - self.vault.convertToAssets(self.vault.effective_supply()) <= 1_000


@pytest.mark.timeout(3600)  # the long run
@pytest.mark.parametrize("decimals", [6, 8, 18])
def test_shares_keep_their_invariants(empty_vaults, decimals, record_property):
    """Invariants 1 to 11. Over USDC with a real venue; over the others without, since venues trade USDC."""
    rates = SuccessRates()
    short = hypothesis.settings().max_examples < 100
    settings = hypothesis.settings(max_examples=8 if short else 200, stateful_step_count=STEPS if short else 2 * STEPS)

    run_state_machine_as_test(lambda: Shares(empty_vaults[decimals], rates), settings=settings)

    rates.record(record_property, "shares and ERC-4626")
    assert rates.too_low() == []
