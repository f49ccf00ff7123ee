"""What docs/operate.md begins with: a fork to practise on, whose settings pass every line of `keel doctor`."""

import json
import random

from click.testing import CliRunner

from keeper.cli import cli
from keeper.domain.decision import Action
from keeper.execution.journal import Journal
from keeper.simulation.fork import Fork
from keeper.simulation.practice import Practice


def test_a_keeper_can_be_run_from_what_a_practice_leaves_behind(tmp_path, monkeypatch):
    monkeypatch.delenv("KEEL_RPC_URL", raising=False)
    monkeypatch.delenv("KEEL_PASSPHRASE", raising=False)
    with Fork() as fork:
        practice = Practice(fork, tmp_path)
        practice.step(random.Random(1), 1)
        config = str(tmp_path / "keel.toml")

        examined = json.loads(CliRunner().invoke(cli, ["doctor", "--json", "--config", config]).stdout)
        ended = CliRunner().invoke(cli, ["run", "--once", "--config", config])

    assert examined["passed"], examined
    assert ended.exit_code == 0, ended.output
    journal = Journal(f"sqlite:///{tmp_path}/keel.sqlite")
    assert journal.last_decision().decision.action is Action.TRADE
    journal.close()
