"""`keel surface post`: a recorded chain is calibrated and posted, and the contracts' marks are the surface's prices."""

import json

import boa
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from keeper.chain.deployments import save
from keeper.cli import cli
from keeper.domain.option_risk import Marks
from keeper.domain.series import WEEK, Position
from keeper.domain.units import WAD, YEAR
from keeper.market.option_chain import read_chain
from keeper.market.vol_oracle import PASTS_SLOT, read_oracle
from keeper.pricing.black76 import price
from keeper.pricing.calibration import calibrate
from keeper.pricing.vol_oracle import median
from tests.keeper.chain_files import stamp, synthetic
from tests.keeper.evm import PROJECT
from tests.keeper.pricing.chains import recordings
from tests.keeper.vault_on_fork import ETH, PASSPHRASE, SPOT, VOL, write_key


@pytest.fixture
def keel(vault, tmp_path, monkeypatch):
    """`keel(command, ...)` in a folder with settings, manifest and the keys of vol poster and stranger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEEL_RPC_URL", raising=False)
    monkeypatch.setenv("KEEL_PASSPHRASE", PASSPHRASE)
    for role in ("vol_poster", "stranger"):
        write_key(tmp_path / f"{role}.json", role)
    (tmp_path / "keel.toml").write_text(f'rpc_url = "{vault.url}"\n')
    save(vault.deployment)
    return lambda *args: CliRunner().invoke(cli, ["surface", "post", *args])


def recorded(path, now):
    """A recorded snapshot, as if it were of now: tenors and prices are the recorded ones. Its volatilities are about
    the vault's opening one, so that its first expiry is not over before the speed limit lets the surface get there."""
    [file] = [one for one in recordings() if one.stem == "eth_2026-01"]
    table = pd.read_parquet(file)
    table = table[table.time == table.time[table.time >= "2026-01-07"].min()]
    shift = stamp(now) - table.time.iloc[0]
    table.assign(time=table.time + shift, expiry=table.expiry + shift).to_parquet(path)


def expiries(vault):
    return sorted(vault.read("VolOracle", "expiries", ETH))


def post_until_it_is_there(vault, keel, tmp_path, write):
    """Posts every 70 minutes until all slices are the market's; returns the last report."""
    for _ in range(10):
        write(tmp_path / "quotes.parquet", vault.now())
        shown = keel("quotes.parquet", "--account", "vol_poster.json", "--json")
        assert shown.exit_code == 0, shown.output
        report = json.loads(shown.output)
        if all(one["distance"] < 0.005 for one in report["expiries"]):
            return report
        vault.market.step(SPOT, timestamp=vault.now() + 70 * 60)
    raise AssertionError(report)


def assert_marks_are_the_surface(vault, tmp_path, points):
    """Every series' middle mark against Black-76 at the calibrated surface: within ``points`` of volatility."""
    chain = read_chain(tmp_path / "quotes.parquet")
    surface = calibrate(chain.quotes).surface
    spot = vault.read("PriceOracle", "read", ETH)[0] / WAD
    series = [Position.from_slot(slot).series for slot in vault.read("OptionBook", "live_book")]
    assert len(series) == 2
    for one in series:
        mid = Marks(*vault.read("OptionPricer", "marks", one.id)).mid / WAD
        years = (one.expiry - vault.now()) / YEAR
        basis = np.interp(years, surface.years, surface.carry(chain.spot) * surface.years)
        forward = spot * np.exp(basis)
        vol = float(surface.vol(np.log(one.strike / forward), years))
        own, up = (float(price(forward, one.strike, v, years, one.is_call)) for v in (vol, vol + points / 100))
        assert abs(mid - own) <= up - own, (one.label, mid, own)


@pytest.mark.skipif(not recordings(), reason="the recorded option chains are not here")
def test_a_recorded_chain_is_calibrated_posted_and_marked(vault, keel, tmp_path):
    post_until_it_is_there(vault, keel, tmp_path, recorded)

    assert_marks_are_the_surface(vault, tmp_path, points=0.55)


def test_a_chain_within_the_speed_limit_is_posted_at_once_and_marked_to_a_hundredth_of_a_point(vault, keel, tmp_path):
    synthetic(tmp_path / "quotes.parquet", vault.now())

    shown = keel("quotes.parquet", "--account", "vol_poster.json", "--json")

    assert shown.exit_code == 0, shown.output
    report = json.loads(shown.output)
    near, next_one, opened = report["expiries"]  # the last is the slice that the vault was deployed with
    assert near["reason"] == next_one["reason"] == "to the market"
    assert all(one["transaction"] for one in (near, next_one, opened))
    assert_marks_are_the_surface(vault, tmp_path, points=0.01)


def test_a_market_that_left_is_followed_at_the_speed_limit(vault, keel, tmp_path):
    synthetic(tmp_path / "quotes.csv", vault.now(), vol_ratio=1.3)

    shown = keel("quotes.csv", "--account", "vol_poster.json", "--json")

    assert shown.exit_code == 0, shown.output
    for one in json.loads(shown.output)["expiries"]:
        assert one["reason"] == "as far towards the market as the speed limit lets it"
        assert one["step"] == pytest.approx(0.05, abs=0.001)
        assert VOL < one["new"] < one["market"]
        assert vault.read("VolOracle", "vol", ETH, one["expiry"], 0) / WAD == pytest.approx(one["new"], abs=1e-4)


def test_a_new_expiry_is_posted_when_it_is_asked_for(vault, keel, tmp_path):
    synthetic(tmp_path / "quotes.parquet", vault.now())
    new = expiries(vault)[-1] + WEEK

    shown = keel("quotes.parquet", "--account", "vol_poster.json", "--expiry", f"{stamp(new):%Y-%m-%d}")

    assert shown.exit_code == 0, shown.output
    assert expiries(vault)[-1] == new
    assert f"{stamp(new):%Y-%m-%d %H:%M}" in shown.output


def test_a_dry_run_needs_no_key_says_why_and_sends_nothing(vault, keel, tmp_path):
    synthetic(tmp_path / "quotes.parquet", vault.now())
    before = vault.w3.eth.block_number

    shown = keel("quotes.parquet", "--dry-run")

    assert shown.exit_code == 0, shown.output
    assert "to the market" in shown.output
    assert vault.w3.eth.block_number == before


def test_a_stranger_is_refused_in_words(vault, keel, tmp_path):
    synthetic(tmp_path / "quotes.parquet", vault.now())

    shown = keel("quotes.parquet", "--account", "stranger.json")

    assert shown.exit_code == 1
    assert "roles: not allowed" in shown.output


@pytest.mark.parametrize("age", [-11 * 60, 11 * 60])
def test_old_quotes_are_not_posted(vault, keel, tmp_path, age):
    synthetic(tmp_path / "quotes.parquet", vault.now() - age)

    shown = keel("quotes.parquet", "--account", "vol_poster.json")

    assert shown.exit_code == 1
    assert "may be 10 minutes old" in shown.output


def test_what_is_no_chain_is_refused_in_words(vault, keel, tmp_path):
    (tmp_path / "quotes.csv").write_text("time,strike\n2026-01-01 00:00:00,3000\n")

    assert "has no column type, expiry" in keel("quotes.csv", "--dry-run").output
    assert "Who posts?" in keel("quotes.csv").output
    assert "neither .parquet nor .csv" in keel("quotes.txt", "--dry-run").output


def test_the_volatilities_of_past_days_are_where_they_are_read(vault):
    """There is no view of them: the slot is the compiler's, and a new vault's week is its opening volatility."""
    layout = boa.load_partial(str(PROJECT / "contracts/VolOracle.vy")).compiler_data.storage_layout["storage_layout"]
    assert layout["_pasts"]["slot"] == PASTS_SLOT

    oracle = read_oracle(vault.connection, vault.deployment, ETH, vault.connection.header())

    assert [held.expiry for held in oracle.held] == expiries(vault)
    for held in oracle.held:
        assert median(held.samples) == pytest.approx(VOL * WAD, abs=10**14)
