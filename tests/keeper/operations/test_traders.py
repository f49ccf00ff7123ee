"""`keel options`: a quote travels as a file; takers fill it, makers write it, both are paid; mistakes are told."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from keeper.chain.deployments import save
from keeper.chain.maker_offers import MakerOffer, signer_of
from keeper.cli import cli
from keeper.domain.series import Position
from keeper.domain.units import USDC, WAD, YEAR
from keeper.execution.records import Kind
from keeper.operations.contracts import usdc_of
from keeper.runtime.settlement import settlement
from keeper.simulation.demo.poster import option_chain
from tests.keeper.vault_on_fork import PASSPHRASE, SPOT, VOL, account_of, write_key

PEOPLE = ("quoter", "taker", "stranger")


@pytest.fixture
def keel(vault, tmp_path, monkeypatch):
    """`keel(command, ..., by=who)` in a folder with settings, manifest and the keys of quoter, taker and stranger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEEL_RPC_URL", raising=False)
    monkeypatch.setenv("KEEL_PASSPHRASE", PASSPHRASE)
    for role in PEOPLE:
        write_key(tmp_path / f"{role}.json", role)
    (tmp_path / "keel.toml").write_text(f'rpc_url = "{vault.url}"\n')
    save(vault.deployment)

    def run(*args, by="stranger"):
        return CliRunner().invoke(cli, ["options", *map(str, args), "--account", f"{by}.json"])

    return run


@pytest.fixture
def quoted(keel, tmp_path):
    """`quoted(label, size, ...)`: the file of a fresh quote."""

    def make(*args):
        shown = keel("quote", *args, by="quoter")
        assert shown.exit_code == 0, shown.output
        (tmp_path / "quote.json").write_text(shown.output)
        return "quote.json"

    return make


def test_a_makers_offer_is_signed_by_him_for_the_vaults_series(keel, vault):
    series = series_of(vault, is_call=True)

    shown = keel("offer", series.label, "2.5", "118.5", "--least", "1", by="taker")
    back = keel("offer", series.label, "0", "118.5", by="taker")

    signed, withdrawn = (json.loads(each.output) for each in (shown, back))
    plain = {
        name: int(text) if text.isdigit() else text for name, text in signed["offer"].items() if isinstance(text, str)
    }
    offer = MakerOffer(vault_sells=signed["offer"]["vault_sells"], **plain)
    signature = bytes.fromhex(signed["signature"].removeprefix("0x"))
    assert signer_of(offer, vault.deployment, signature) == account_of("taker").address == offer.maker
    assert (offer.series, offer.vault_sells, offer.size, offer.min_fill) == (series.id, False, 5 * WAD // 2, WAD)
    assert (offer.price, offer.deadline) == (1_185 * WAD // 10, vault.now() + 1_800)
    assert withdrawn["offer"]["size"] == "0"
    assert int(withdrawn["offer"]["nonce"]) > offer.nonce


def series_of(vault, *, is_call):
    book = [Position.from_slot(slot).series for slot in vault.read("OptionBook", "live_book")]
    return next(series for series in book if series.is_call == is_call)


def usdc(vault, role):
    return usdc_of(vault.w3, vault.deployment).functions.balanceOf(account_of(role).address).call()


def settle(vault, series, price):
    """The price is this one until the series has expired; a stranger settles it, and what expires before it."""
    book = [Position.from_slot(slot).series for slot in vault.read("OptionBook", "live_book")]
    for expiry in sorted({one.expiry for one in book if one.expiry <= series.expiry}):
        vault.market.step(price, timestamp=expiry - 60)
        vault.market.step(price, timestamp=expiry + 12)
        duties = settlement(vault.connection, vault.deployment, vault.connection.header())
        call = next(duty.call for duty in duties if duty.kind is Kind.SETTLE)
        _, arguments = vault.contract("OptionBook").decode_function_input(call.data)
        vault.send("stranger", "OptionBook", "settle", *arguments.values())


def test_a_taker_buys_with_a_quote_from_a_file_and_is_paid(vault, keel, quoted):
    call = series_of(vault, is_call=True)
    vault.market.fund_usdc(account_of("stranger").address, 2_000 * USDC)

    bought = keel("fill", quoted(call.label, "0.5"))

    assert bought.exit_code == 0, bought.output
    assert "0.5 options bought for " in bought.output
    settle(vault, call, 3_310)
    before = usdc(vault, "stranger")
    claimed = keel("claim", call.label)
    assert claimed.exit_code == 0, claimed.output
    assert f"155.000000 USDC for 0.5 {call.label}" in claimed.output
    assert usdc(vault, "stranger") - before == 155 * USDC


@pytest.mark.parametrize(("is_call", "fixing", "back"), [(True, 3_200, 4.6875 * WAD), (False, 2_700, 13_500 * USDC)])
def test_a_maker_writes_against_collateral_and_takes_the_rest_back(vault, keel, quoted, is_call, fixing, back):
    """A call pays units of the underlying, a put USDC: 5 * 200 / 3200 of 5 units, 5 * 100 of 14,000 USDC."""
    series, maker = series_of(vault, is_call=is_call), account_of("stranger").address
    vault.market.fund_weth(maker, 5 * WAD)
    vault.market.fund_usdc(maker, 14_000 * USDC)
    before = usdc(vault, "stranger")

    written = keel("write", quoted(series.label, "5", "--buy"))

    assert written.exit_code == 0, written.output
    assert "5 options written for " in written.output
    assert usdc(vault, "stranger") > before - (0 if is_call else 14_000 * USDC)
    settle(vault, series, fixing)
    returned = keel("take-back", series.label)
    assert returned.exit_code == 0, returned.output
    assert int(returned.output.split()[0].replace(",", "")) == pytest.approx(back, abs=2)


def test_a_quote_tells_what_its_price_is_made_of(vault, keel):
    shown = keel("quote", series_of(vault, is_call=True).label, "0.5", by="quoter")

    found = json.loads(shown.output)
    parts = found["price_usdc"]
    price = int(found["quote"]["price"]) / WAD
    assert parts.pop("sum") == price
    assert set(parts) == {"mid", "spread", "lean", "skew", "bound"}
    assert sum(parts.values()) == pytest.approx(price, rel=1e-12)
    assert found["limit"] is None
    assert "no premium is leant on" in found["caveat"]


def chain_file(path, now, expiries, vol):
    """An option chain of ETH at one at-the-money volatility, as an exchange records it."""
    q = option_chain(SPOT, vol, expiries, now)
    table = pd.DataFrame(
        {
            "time": pd.to_datetime(now, unit="s", utc=True),
            "type": np.where(q.is_call, "call", "put"),
            "strike": q.strike,
            "expiry": pd.to_datetime(q.expiry, unit="s", utc=True),
            "forward": q.forward,
            "index": float(SPOT),
            "bid": q.bid / q.forward,
            "ask": q.ask / q.forward,
        }
    )
    table.to_parquet(path, index=False)


def test_a_quote_is_priced_by_a_market_where_one_is_given(vault, keel, tmp_path):
    call = series_of(vault, is_call=True)
    chain_file(tmp_path / "chain.parquet", vault.now(), sorted(vault.read("VolOracle", "expiries", 0)), vol=VOL + 0.1)

    posted, seen = (
        json.loads(keel("quote", call.label, "0.5", *more, by="quoter").output)["price_usdc"]
        for more in ((), ("--market", "chain.parquet"))
    )

    years = (call.expiry - vault.now()) / YEAR
    vega = SPOT * 0.4 * years**0.5  # at the money
    assert seen["mid"] - posted["mid"] == pytest.approx(0.1 * vega, rel=0.05)
    assert seen["sum"] > posted["sum"]


def test_an_old_market_prices_nothing(vault, keel, tmp_path):
    chain_file(tmp_path / "old.parquet", vault.now() - 3_600, sorted(vault.read("VolOracle", "expiries", 0)), vol=VOL)

    shown = keel("quote", series_of(vault, is_call=True).label, "0.5", "--market", "old.parquet", by="quoter")

    assert shown.exit_code == 1
    assert "Record them again" in shown.output


def test_anyone_funds_what_is_owed(vault, keel):
    settle(vault, series_of(vault, is_call=True), 3_100)

    assert "5,000.000000 USDC funded, 0.000000 still owed" in keel("fund").output
    assert "owes nothing to option holders" in keel("fund").output


def test_a_cancelled_quote_is_not_filled(vault, keel, quoted):
    vault.market.fund_usdc(account_of("stranger").address, 2_000 * USDC)
    file = quoted(series_of(vault, is_call=True).label, "0.5", "--nonce", 7)

    cancelled = keel("cancel", 0, 255, by="quoter")

    assert cancelled.exit_code == 0, cancelled.output
    assert "nonces 0 to 255 are cancelled" in cancelled.output
    assert "quote: cancelled" in keel("fill", file).output


def test_a_quote_that_is_over_says_until_when_it_was_good(vault, keel, quoted):
    file = quoted(series_of(vault, is_call=True).label, "0.5")
    vault.market.step(SPOT, timestamp=vault.now() + 60)

    assert "The quote was good until" in keel("fill", file).output


def test_what_the_vault_sells_cannot_be_written_to_it(vault, keel, quoted):
    assert "is one that the vault sells" in keel("write", quoted(series_of(vault, is_call=True).label, "0.5")).output


def test_writing_without_collateral_is_refused(vault, keel, quoted):
    file = quoted(series_of(vault, is_call=True).label, "5", "--buy")

    assert "Writing takes more collateral than" in keel("write", file).output


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "", "quote.json is no quote"),
        (lambda text: text[: len(text) // 2], "quote.json is no quote"),
        (lambda text: "[1]", "quote.json is no quote"),
        (lambda text: text.replace('"price": "', '"price": "x'), "quote.json is no quote"),
        (lambda text: text.replace('"chain_id": 1', '"chain_id": 5'), "is a quote of another vault"),
        (lambda text: json.dumps(json.loads(text) | {"signature": "0xzz"}), "quote.json is no quote"),
        (lambda text: json.dumps(json.loads(text) | {"signature": "0x12"}), "quote: "),
    ],
)
def test_a_file_that_is_no_good_quote_is_told(vault, keel, quoted, tmp_path, change, said):
    vault.market.fund_usdc(account_of("stranger").address, 2_000 * USDC)
    file = tmp_path / quoted(series_of(vault, is_call=True).label, "0.5")
    file.write_text(change(file.read_text()))

    shown = keel("fill", "quote.json")

    assert shown.exit_code in (1, 2)
    assert said in shown.output
    assert "Traceback" not in shown.output


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("claim", "ETH"), "'ETH' is no series.\nNothing was sent.\nWrite it as in ETH-27NOV26-3000-C"),
        (("claim", "ETH-31FEB26-3000-C"), "is no series"),
        (("claim", "DOGE-27NOV26-3000-C"), "is no series"),
        (("claim", "ETH-27NOV26-nan-C"), "is no series"),
        (("claim", "ETH-27NOV26-1e30-C"), "is no series"),
        (("claim", "ETH-27NOV26-3000-X"), "is no series"),
        (("claim", "ETH-27NOV26-3000-C"), "claim: not settled"),
        (("take-back", "ETH-27NOV26-3000-C"), "collateral: not settled"),
        (("quote", "ETH-27NOV26-3000-C", "0"), "0 is not a positive amount"),
        (("quote", "ETH-27NOV26-3000-C", "1"), "The vault makes no quote for 1 ETH-27NOV26-3000-C: book: series not"),
        (("quote", "ETH-27NOV26-3000-C", "1", "--nonce", "-1"), "--nonce is not below zero"),
        (("fill", "nowhere.json"), "nowhere.json cannot be read: No such file"),
        (("cancel", "5", "2"), "5 to 2 is no range of nonces"),
        (("cancel", "0", "99999"), "or one of more than 16,384"),
    ],
)
def test_a_mistake_is_one_message_and_nothing_is_sent(vault, keel, args, said):
    block = vault.w3.eth.block_number

    shown = keel(*args)

    assert shown.exit_code in (1, 2)
    assert said in shown.output
    assert "Traceback" not in shown.output
    assert vault.w3.eth.block_number == block


def test_help_has_an_example_for_each_command():
    for command in ("quote", "fill", "write", "claim", "take-back", "fund", "cancel"):
        assert f"  keel options {command} " in CliRunner().invoke(cli, ["options", command, "--help"]).output
