"""The files under deploy/: they parse, name what exists, keep secrets out of the environment and ports at home."""

import configparser
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from keeper.cli import cli
from keeper.config import load
from keeper.domain.safety import Cause, WatchLevels
from keeper.runtime import watch
from keeper.runtime.metrics import Metrics

PROJECT = Path(__file__).parents[3]
DEPLOY = PROJECT / "deploy"
RUNBOOK = (PROJECT / "docs" / "operate.md").read_text()
COMPOSE = ("compose.yaml", "compose.practice.yaml")


def parsed(name):
    return yaml.safe_load((DEPLOY / name).read_text())


def rules():
    return [rule for group in parsed("prometheus/alerts.yml")["groups"] for rule in group["rules"]]


def series():
    """Every name that /metrics can have, with those of histograms and counters."""
    names = set()
    for family in Metrics().registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        names |= {family.name + suffix for suffix in suffixes}
    return names


def named(expression):
    return set(re.findall(r"keel_[a-z_]+", expression))


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.y*ml")), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_yaml_file_parses_and_says_something(path):
    assert yaml.safe_load(path.read_text())


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_names_metrics_that_exist_and_has_its_words_in_the_runbook(rule):
    assert named(rule["expr"]) <= series()
    assert named(rule["expr"]) or "up{" in rule["expr"]
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"]
    assert f"**{rule['alert']}**" in RUNBOOK


def test_every_condition_that_the_keeper_tells_has_a_chapter_in_the_runbook():
    code = Path(watch.__file__).read_text() + (PROJECT / "keeper/operations/watching.py").read_text()
    told = set(re.findall(r'(?:Condition|_event)\(\s*"([a-z-]+)"', code))
    told |= {f"kill-switch-{cause}" for cause in Cause if cause is not Cause.BLIND}  # which never stands

    chapters = set(re.findall(r"^### (\S+)$", RUNBOOK, re.MULTILINE))

    assert len(told) > 10
    assert told == chapters


def test_the_rules_and_the_keepers_own_levels_agree():
    by_name = {rule["alert"]: rule["expr"] for rule in rules()}

    assert by_name["LowGas"].endswith(f"< {WatchLevels.low_gas}")
    assert by_name["MarginHeadroom"].endswith(f"> {WatchLevels.margin_use}")
    assert by_name["MissedHedge"].endswith(f"> {WatchLevels.missed_hedge_seconds}")
    assert by_name["StuckTransaction"].endswith(f"> {WatchLevels.stuck_seconds}")
    assert by_name["OldHead"].endswith(f"> {WatchLevels.head_seconds}")
    assert by_name["KeeperStalled"].endswith(f"> {WatchLevels.stall_seconds}")


def test_the_dashboard_shows_metrics_that_exist_and_leaves_none_out():
    dashboard = json.loads((DEPLOY / "grafana/dashboards/keel.json").read_text())
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    source = parsed("grafana/provisioning/datasources/prometheus.yml")["datasources"][0]

    assert set().union(*map(named, shown)) <= series()
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    families = {family.name for family in Metrics().registry.collect()}
    left_out = {name for name in families if not any(name in expression for expression in shown)}
    assert left_out == {"keel_block_timestamp_seconds"}


@pytest.mark.parametrize("name", COMPOSE)
def test_a_compose_file_mounts_what_exists_and_is_reachable_from_this_machine_only(name):
    compose = parsed(name)

    for service in compose["services"].values():
        assert "image" in service or (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert ":latest" not in service.get("image", "pinned:1")
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            is_secret = source.startswith("./secrets/")
            assert is_secret or source in compose.get("volumes", {}) or (DEPLOY / source).exists()
        assert set(service.get("secrets", ())) <= set(compose.get("secrets", {}))


@pytest.mark.parametrize("name", COMPOSE)
def test_no_secret_is_in_the_environment(name):
    """mud#3382: keys in environment variables. Only paths of files are there."""
    for service in parsed(name)["services"].values():
        assert "env_file" not in service
        for variable, value in service.get("environment", {}).items():
            if re.search("PASS|SECRET|KEY|TOKEN", variable):
                assert str(value).startswith("/run/secrets/"), variable


@pytest.mark.parametrize("name", COMPOSE)
def test_the_keepers_variables_are_in_the_runbook_and_the_others_are_of_their_image(name):
    """What an operator can set is said where operators read; the images' own are those of their documentation."""
    for service in parsed(name)["services"].values():
        for variable in service.get("environment", {}):
            assert variable in RUNBOOK or variable.startswith(("POSTGRES_", "GF_")), variable


def test_what_compose_mounts_from_the_secrets_is_made_by_the_runbook():
    compose = parsed("compose.yaml")
    mounted = [volume.partition(":")[0] for service in compose["services"].values() for volume in service["volumes"]]
    files = [entry["file"] for entry in compose["secrets"].values()] + [
        source for source in mounted if source.startswith("./secrets/")
    ]

    assert len(files) == 6
    assert {file for file in files if file.replace("./", "deploy/") not in RUNBOOK} == set()


def test_secrets_are_not_committed():
    ignored = (PROJECT / ".gitignore").read_text().splitlines()

    assert "deploy/secrets/" in ignored
    assert all(entry["file"].startswith("./secrets/") for entry in parsed("compose.yaml")["secrets"].values())


def test_the_images_settings_are_settings():
    settings = load(DEPLOY / "keel.toml", {})
    keeper = parsed("compose.yaml")["services"]["keeper"]

    assert settings.journal_url.startswith("postgresql+psycopg://")
    assert {settings.keystore, settings.passphrase_file} == {f"/run/secrets/{name}" for name in keeper["secrets"][:2]}
    assert f"./secrets/deployment.json:{settings.deployment}:ro" in keeper["volumes"]
    assert settings.listen.rpartition(":")[2] == keeper["ports"][0].rpartition(":")[2]


def test_the_dockerfile_copies_what_exists_and_runs_as_nobody_special():
    lines = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text()).splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]

    copied = [source for first, *rest in words if first == "COPY" and "--from" not in rest[0] for source in rest[:-1]]
    assert copied
    assert all((PROJECT / source).exists() for source in copied)
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {f"!{source}" for source in copied} == {line for line in allowed if line.startswith("!")}
    assert all(":" in rest[0] and "latest" not in rest[0] for first, *rest in words if first == "FROM")
    assert [rest for first, *rest in words if first == "USER"][-1] == ["keel"]
    command = json.loads(" ".join(next(rest for first, *rest in words if first == "CMD")))
    assert_is_a_command(command)


def test_the_unit_runs_a_command_that_exists_without_secrets_in_its_environment():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(DEPLOY / "keel.service")
    service = unit["Service"]

    assert set(unit.sections()) == {"Unit", "Service", "Install"}
    assert_is_a_command(shlex.split(service["ExecStart"])[1:])
    assert "Environment" not in service
    assert "EnvironmentFile" not in service
    assert service["Type"] == "notify"
    assert (service["Restart"], unit["Unit"]["StartLimitIntervalSec"]) == ("always", "0")
    assert int(service["WatchdogSec"]) >= WatchLevels.stall_seconds
    assert f"/run/credentials/keel.service/{service['LoadCredential'].partition(':')[0]}" in RUNBOOK


def assert_is_a_command(words):
    """`words` after `keel`: a command and options that it takes."""
    command = cli.commands[words[0]]
    command.make_context(words[0], words[1:], resilient_parsing=False).close()


def test_every_command_of_the_runbook_exists():
    blocks = re.findall(r"```sh\n(.*?)```", RUNBOOK, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith(".venv/bin/keel ")]

    assert len(lines) >= 6
    for line in lines:
        assert_is_a_command(shlex.split(line, comments=True)[1:])
