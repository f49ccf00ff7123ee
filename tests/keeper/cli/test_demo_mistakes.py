"""What can be set wrongly for `keel demo`: one message each, before anything is started, and no secrets in it."""

import pickle

import pytest
from click.testing import CliRunner

from keeper.cli import cli


@pytest.fixture
def demo(tmp_path, monkeypatch):
    for variable in ("KEEL_MAINNET_RPC", "KEEL_MAINNET_BLOCK", "KEEL_UPSTREAM", "KEEL_CACHE"):
        monkeypatch.delenv(variable, raising=False)

    def run(*args, **environment):
        return CliRunner().invoke(cli, ["demo", "--out", str(tmp_path / "out"), *args], env=environment)

    return run


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--hours", "0.1"), "0.1 is not in the range"),
        (("--hours", "a day"), "'a day' is not a valid float range"),
        (("--hours", "nan"), "nan is not a number of hours"),
        (("--seed", "-1"), "-1 is not in the range"),
        (("--seed", "one"), "'one' is not a valid integer range"),
        (("--from", "2024-08-03"), "name its candles with --prices"),
        (("--vol", "dvol.csv"), "name its candles with --prices"),
    ],
)
def test_a_wrong_option_is_a_usage_error(demo, args, message):
    shown = demo(*args)

    assert shown.exit_code == 2
    assert message in shown.output


def test_candles_that_are_not_there_are_refused(demo, tmp_path):
    shown = demo("--prices", str(tmp_path / "eth.csv"))

    assert shown.exit_code == 2
    assert "eth.csv cannot be read: No such file or directory.\nNothing was started.\n" in shown.output


def test_a_file_where_the_folder_should_be_is_refused(demo, tmp_path):
    (tmp_path / "file").write_text("in the way")

    itself = demo("--out", str(tmp_path / "file"))
    above = demo("--out", str(tmp_path / "file" / "demo"))

    assert (itself.exit_code, above.exit_code) == (2, 2)
    assert "is a file" in itself.output
    assert "cannot be used: Not a directory.\nNothing was started.\nChoose another one with --out." in above.output


def test_a_folder_that_cannot_be_written_to_is_refused(demo):
    shown = demo("--out", "/proc/1")

    assert shown.exit_code == 2
    assert "The folder /proc/1 cannot be used" in shown.output


@pytest.mark.parametrize("variable", ["KEEL_MAINNET_RPC", "KEEL_UPSTREAM"])
@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v3/SECRET", "ws://127.0.0.1:9/SECRET", "nonsense"])
def test_a_node_that_cannot_be_forked_is_named_by_its_variable(demo, variable, url):
    shown = demo(**{variable: url})

    assert shown.exit_code == 3
    assert f"Error: The node of {variable} cannot be forked" in shown.output
    assert f"unset {variable} to use the mainnet snapshot" in shown.output
    assert "SECRET" not in shown.output


def test_a_block_that_is_no_number_is_refused(demo):
    shown = demo(KEEL_MAINNET_RPC="http://127.0.0.1:9", KEEL_MAINNET_BLOCK="latest")

    assert shown.exit_code == 2
    assert "KEEL_MAINNET_BLOCK is 'latest', not a block number." in shown.output


def test_a_block_without_a_node_that_has_it_is_refused(demo):
    shown = demo(KEEL_MAINNET_BLOCK="26450000")

    assert shown.exit_code == 2
    assert "KEEL_MAINNET_BLOCK is '26450000', but KEEL_MAINNET_RPC names no node" in shown.output
    assert "unset KEEL_MAINNET_BLOCK to use the mainnet snapshot" in shown.output


def test_a_cache_that_cannot_be_made_is_refused(demo, tmp_path):
    (tmp_path / "file").write_text("in the way")

    shown = demo(KEEL_CACHE=str(tmp_path / "file"))

    assert shown.exit_code == 2
    assert "cannot be made: File exists." in shown.output


def test_a_folder_without_an_interrupted_demo_cannot_be_resumed(demo, tmp_path):
    nothing = demo("--resume")
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "summary.json").write_text("{}")
    finished = demo("--resume")

    assert (nothing.exit_code, finished.exit_code) == (2, 2)
    assert "There is nothing to resume in" in nothing.output
    assert "The demo in it has finished." in finished.output


@pytest.mark.parametrize(
    "content",
    [b"", b"not a checkpoint", pickle.dumps({"version": 1}), b"cos\nsystem\n(S'echo harm > harm'\ntR."],
    ids=["empty", "garbage", "something else", "a program"],
)
def test_a_damaged_checkpoint_is_refused_and_nothing_in_it_is_run(demo, tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "demo.checkpoint").write_bytes(content)

    shown = demo("--resume")

    assert shown.exit_code == 2
    assert "is damaged or of another version of Keel" in shown.output or "is of another version" in shown.output
    assert not (tmp_path / "harm").exists()
    assert (tmp_path / "out" / "demo.checkpoint").read_bytes() == content


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("--hours", "36"), "--hours"),
        (("--seed", "2", "--vol", "x.csv", "--prices", "y.csv"), "--seed, --prices, --vol"),
    ],
)
def test_a_resumed_demo_takes_no_other_market(demo, args, named):
    shown = demo("--resume", *args)

    assert shown.exit_code == 2
    assert f"leave out {named}" in shown.output


def test_two_files_for_one_underlying_are_refused(demo):
    shown = demo("--prices", "eth_5m.parquet", "--prices", "ETH=other.parquet")

    assert shown.exit_code == 2
    assert "--prices has two files for ETH" in shown.output


def test_an_underlying_that_the_demo_does_not_have_is_refused(demo):
    shown = demo("--prices", "SOL=sol.parquet")

    assert shown.exit_code == 2
    assert "'SOL' in SOL=sol.parquet is not an underlying of the demo" in shown.output
