"""The reviewed file of parameters: it says what the design says, and each mistake in one has one clear message."""

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from keeper.errors import ConfigError
from keeper.operations.parameters import Parameters, load_parameters

FILE = Path(__file__).parents[3] / "parameters.toml"


def changed(tmp_path, key, line):
    """The file with the line of ``key`` replaced."""
    lines = FILE.read_text().splitlines()
    assert any(old.startswith(f"{key} = ") for old in lines)
    path = tmp_path / "parameters.toml"
    path.write_text("\n".join(line if old.startswith(f"{key} = ") else old for old in lines))
    return path


def test_the_file_has_every_parameter_with_its_default():
    assert load_parameters(FILE) == Parameters()
    assert set(tomllib.loads(FILE.read_text())) == {field.name for field in fields(Parameters)}


def test_every_parameter_is_explained():
    lines = FILE.read_text().splitlines()
    assert [line for line in lines if " = " in line and not line.startswith("#") and "  # " not in line] == []


def test_what_the_file_says_is_what_is_deployed(tmp_path):
    path = changed(tmp_path, "strike_step", "strike_step = [100.0, 500.0]")

    assert load_parameters(path) == Parameters(strike_step=(100.0, 500.0))


@pytest.mark.parametrize(
    ("key", "line", "message"),
    [
        ("min_vol", "", r"`min_vol` Field required"),
        ("min_vol", "minimal_vol = 0.2", r"`min_vol` Field required"),
        ("min_vol", "min_vol = 0.2\nvols = 1", r"there is no key `vols`; the keys are max_price_age, .*health_target"),
        ("min_vol", "min_vol = 4.0", r"`min_vol`, 4\.0, is above `max_vol`, 3\.0"),
        ("min_vol", "min_vol = -0.2", r"`min_vol` should be greater than 0, not -0\.2"),
        ("min_vol", "min_vol = nan", r"`min_vol` should be a finite number, not nan"),
        ("min_vol", 'min_vol = "20 %"', r"`min_vol` should be a valid number, not '20 %'"),
        ("delta_target", "delta_target = 0.2", r"`delta_target`, 0\.2, is above `delta_hard`, 0\.1"),
        ("leg_slippage", "leg_slippage = 75", r"`leg_slippage` should be less than or equal to 1, not 75"),
        ("health_floor", "health_floor = 1.0", r"`health_floor` should be greater than 1, not 1\.0"),
        ("max_usdc_age", "max_usdc_age = 1.5", r"`max_usdc_age` should be a valid integer, not 1\.5"),
        ("min_fill", "min_fill = [0.1, 0]", r"`min_fill\.1` should be greater than 0, not 0"),
        ("min_fill", "min_fill = 0.1", r"`min_fill` should be a valid tuple, not 0\.1"),
        (
            "min_fill",
            "min_fill = [0.1]",
            r"`opening_vol`, `strike_step`, `min_fill` have not the same length",
        ),
        ("min_vol", "min_vol", r"is not TOML: .*line"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(tmp_path, key, line, message):
    with pytest.raises(ConfigError, match=message) as raised:
        load_parameters(changed(tmp_path, key, line))

    assert "parameters.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file_says_where_to_take_one_from(tmp_path):
    with pytest.raises(ConfigError, match=r"no config file .*mine\.toml\. Take parameters\.toml of the sources"):
        load_parameters(tmp_path / "mine.toml")
