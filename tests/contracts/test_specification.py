"""Each deployable opens with its specification: what it is, by chapter, and how to stop it."""

import re
from pathlib import Path

import pytest

_CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
_DEPLOYABLES = sorted([*_CONTRACTS.glob("*.vy"), *_CONTRACTS.glob("venues/*.vy")])
_CHAPTER = re.compile(r"^        [A-Z][A-Za-z0-9-]*( [A-Za-z0-9-]+){0,4}\. ", re.MULTILINE)
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
