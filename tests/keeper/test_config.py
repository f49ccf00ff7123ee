"""Settings: what the example says are the defaults, and each mistake has one clear message."""

from pathlib import Path

import pytest

from keeper.config import AlertSettings, QuoteSettings, Settings, SurfaceSettings, load
from keeper.domain.policy import Policy
from keeper.domain.safety import DeskLimits, KillLevels, WatchLevels
from keeper.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "keel.toml.example"


def loaded(tmp_path, text, environment=None):
    path = tmp_path / "keel.toml"
    path.write_text(text)
    return load(path, environment or {})


def test_the_example_shows_every_key_with_its_default():
    import tomllib

    keys = tomllib.loads(EXAMPLE.read_text())

    assert load(EXAMPLE, {}) == Settings()
    assert set(keys) == {field.alias or name for name, field in Settings.model_fields.items()}
    assert set(keys["policy"]) == set(Policy.__slots__)
    assert set(keys["kill_switch"]) == set(KillLevels.__slots__)
    assert set(keys["alerts"]) == set(AlertSettings.model_fields)
    assert set(keys["quotes"]) == set(QuoteSettings.model_fields)
    assert set(keys["surface"]) == set(SurfaceSettings.model_fields)


def test_the_policys_defaults_are_the_domains():
    assert Settings().policy == Policy()
    assert Settings().kill_levels == KillLevels()
    assert Settings().alerts.levels == WatchLevels()
    assert Settings().quotes.limits == DeskLimits()


def test_what_the_file_says_is_what_holds(tmp_path):
    settings = loaded(tmp_path, 'rpc_url = "http://node:8545"\npoll_seconds = 2\n[policy]\nrisk_aversion = 10\n')

    assert (settings.rpc_url, settings.poll_seconds) == ("http://node:8545", 2.0)
    assert settings.policy == Policy(risk_aversion=10.0)


def test_the_environment_overrides_the_nodes_url(tmp_path):
    settings = loaded(tmp_path, 'rpc_url = "http://node:8545"', {"KEEL_RPC_URL": "https://other"})

    assert settings.rpc_url == "https://other"


def test_without_a_file_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert load(environment={}) == Settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pol_seconds = 1.0", r"there is no key `pol_seconds`; the keys are rpc_url, .*poll_seconds"),
        ("[policy]\nrisk = 1.0", r"there is no key `policy.risk`; the keys of \[policy\] are risk_aversion,"),
        ('poll_seconds = "1"', r"`poll_seconds` should be a valid number, not '1'"),
        ("poll_seconds = 0", r"`poll_seconds` should be greater than or equal to 0.001, not 0"),
        ("rpc_url = 8545", r"`rpc_url` should be a valid string\. Nothing was started"),
        ("[policy]\nband_use = 1.5", r"`policy.band_use` should be less than or equal to 1, not 1.5"),
        ("[policy]\ndeadline_seconds = 121", r"`policy.deadline_seconds` should be less than or equal to 120, not 121"),
        ("[policy]\nrisk_aversion = nan", r"`policy.risk_aversion` should be a finite number, not nan"),
        (
            "[kill_switch]\ndrawdown = 1",
            r"there is no key `kill_switch.drawdown`; the keys of \[kill_switch\] are max_",
        ),
        ("[kill_switch]\nmin_loss_budget = 1.0", r"`kill_switch.min_loss_budget` should be less than 1, not 1.0"),
        ("policy = 1", r"`policy` should be a valid dictionary"),
        ("poll_seconds = = 1", r"is not TOML: Invalid value \(at line 1"),
    ],
)
def test_a_mistake_names_the_file_the_key_and_what_to_do(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as raised:
        loaded(tmp_path, text)

    assert "keel.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("key", ["rpc_url", "journal_url"])
def test_what_may_hold_a_secret_is_not_repeated(tmp_path, key):
    with pytest.raises(ConfigError, match=f"`{key}` should be a valid string") as raised:
        loaded(tmp_path, f'{key} = ["https://node/v3/SECRET"]')

    assert "SECRET" not in str(raised.value)


def test_a_token_in_the_url_of_an_alert_is_not_repeated(tmp_path):
    with pytest.raises(ConfigError, match=r"`alerts\.urls` should be a valid list") as raised:
        loaded(tmp_path, '[alerts]\nurls = "tgram://SECRET"')

    assert "SECRET" not in str(raised.value)


def test_a_file_that_is_named_must_be_there(tmp_path):
    with pytest.raises(ConfigError, match=r"no config file .*mine\.toml\. Copy keel\.toml\.example"):
        load(tmp_path / "mine.toml", {})
