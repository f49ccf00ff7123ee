"""Each deployable opens with its specification: what it is, by chapter, how to stop it. docs/spec.md keeps its word."""

import re
import tomllib
from pathlib import Path

import pytest

_PROJECT = Path(__file__).resolve().parents[2]
_CONTRACTS = _PROJECT / "contracts"
_SPEC = (_PROJECT / "docs" / "spec.md").read_text()
_DEPLOYABLES = sorted([*_CONTRACTS.glob("*.vy"), *_CONTRACTS.glob("venues/*.vy")])
_CHAPTER = re.compile(r"^        [A-Z][A-Za-z0-9-]*( [A-Za-z0-9-]+){0,4}\. ", re.MULTILINE)
_TEST = re.compile(r"\[(test_\w+)\]\((\S+?)\)")
_PARAMETER = re.compile(r"^\| `(\w+)` \| (.+?) \|", re.MULTILINE)
_CALL = re.compile(r"`(\w+)\(")


def specification(path: Path) -> str:
    """The docstring that a contract opens with."""
    _, text, _ = path.read_text().split('"""', 2)
    return text


def kill(path: Path) -> str:
    return specification(path).partition("@custom:kill")[2].strip()


@pytest.mark.parametrize("path", _DEPLOYABLES, ids=lambda path: path.stem)
def test_it_opens_with_title_licence_and_chapters(path):
    text = specification(path)

    assert f"@title {path.stem}\n" in text
    assert "@license AGPL-3.0\n" in text
    assert re.search(r"@notice \S.{30,}", text)
    assert len(_CHAPTER.findall(text)) >= 2


@pytest.mark.parametrize("path", _DEPLOYABLES, ids=lambda path: path.stem)
def test_it_says_how_to_stop_it(path):
    """And names no function that does not exist."""
    assert len(kill(path)) > 30
    sources = "\n".join(file.read_text() for file in _CONTRACTS.rglob("*.vy"))
    for function in _CALL.findall(kill(path)):
        assert f"def {function}(" in sources


def test_the_sources_are_found_at_all():
    assert len(_DEPLOYABLES) > 12


@pytest.mark.parametrize(("test", "file"), sorted(set(_TEST.findall(_SPEC))))
def test_a_promise_names_a_test_that_there_is(test, file):
    assert f"def {test}(" in (_PROJECT / "docs" / file).read_text()


def test_promises_are_found_at_all():
    assert len(_TEST.findall(_SPEC)) > 40


def test_the_table_of_parameters_is_parameters_toml():
    """A parameter that is new or changed belongs into docs/spec.md."""
    told = {name: tomllib.loads(f"value = {value}")["value"] for name, value in _PARAMETER.findall(_SPEC)}

    assert told == tomllib.loads((_PROJECT / "parameters.toml").read_text())
