"""What `make coverage` counts: each statement and each way of a condition if and only if a call went there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boa
import pytest

from keeper.simulation.fork import Fork
from tests.contracts.chain import reverts
from tests.coverage import search

_SOURCE = """
# pragma version 0.4.3
larger: public(uint256)

@deploy
def __init__(size: uint256):
    assert size < 10, "too large"
    if size > 5:
        self.larger += size

@external
def take(amount: uint256) -> uint256:
    assert amount != 3
    assert amount < 5, "too much"
    if amount == 0:
        self.larger += 1
    elif amount == 1:
        return 7
    for i: uint256 in range(2):
        if i > amount:
            continue
        self.larger += 2
    self._note(amount)
    return 10 if amount == 2 else self.larger + 3

@internal
def _note(amount: uint256):
    if amount == 2 or amount == 4:
        return
    self.larger += 1

@external
def offer(other: address, amount: uint256) -> uint256:
    taken: bool = raw_call(
        other, abi_encode(amount, method_id=method_id("take(uint256)")), gas=100_000, revert_on_failure=False
    )
    if taken:
        return self.larger + 4
    return self.larger + 5
"""

_NOTE = "if amount == 2 or amount == 4"
Ways = set[tuple[str, str]]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Fork() as fork:
        yield fork.url


@pytest.fixture
def environment(url: str, tmp_path: Path) -> Iterator[search.CoverageEnv]:
    with search.fork(url, tmp_path / "reached") as env:
        yield env


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The deployer of the source above."""
    path = tmp_path_factory.mktemp("source") / "contracts" / "Taker.vy"
    path.parent.mkdir()
    path.write_text(_SOURCE)
    return boa.load_partial(str(path))


def reached(environment: search.CoverageEnv) -> Ways:
    """What was found: the text of its line, and "runs", "true" or "false"."""
    lines = _SOURCE.splitlines()
    return {(lines[fact.line - 1].strip().rstrip(":"), fact.what) for fact in environment.found}


def ways(found: Ways) -> Ways:
    return {(text, what) for text, what in found if what != "runs"}


def test_a_constructor_counts(environment: search.CoverageEnv, contract: Any) -> None:
    contract.deploy(1)

    assert ways(reached(environment)) == {('assert size < 10, "too large"', "true"), ("if size > 5", "false")}


def test_a_constructor_that_reverts_counts_as_far_as_it_came(environment: search.CoverageEnv, contract: Any) -> None:
    with reverts("too large"):
        contract.deploy(10)

    text = 'assert size < 10, "too large"'
    assert reached(environment) == {(text, "runs"), (text, "false")}


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (0, {("if amount == 0", "true"), ("if i > amount", "false"), ("if i > amount", "true"), (_NOTE, "false")}),
        (1, {("if amount == 0", "false"), ("elif amount == 1", "true")}),
        (2, {("if amount == 0", "false"), ("elif amount == 1", "false"), ("if i > amount", "false"), (_NOTE, "true")}),
    ],
)
def test_each_way_of_a_condition_counts_for_itself(
    environment: search.CoverageEnv, contract: Any, amount: int, expected: Ways
) -> None:
    taker = contract.deploy(1)
    before = ways(reached(environment))

    taker.take(amount)

    always = {("assert amount != 3", "true"), ('assert amount < 5, "too much"', "true")}
    last = "return 10 if amount == 2 else self.larger + 3"
    returned = {0: {(last, "false")}, 1: set(), 2: {(last, "true")}}[amount]
    assert ways(reached(environment)) - before == always | expected | returned


@pytest.mark.parametrize(("amount", "text"), [(3, "assert amount != 3"), (5, 'assert amount < 5, "too much"')])
def test_what_follows_a_failed_assert_is_not_reached(
    environment: search.CoverageEnv, contract: Any, amount: int, text: str
) -> None:
    taker = contract.deploy(1)

    with pytest.raises(boa.BoaError):
        taker.take(amount)

    found = reached(environment)
    assert (text, "false") in found
    assert (text, "true") not in found
    assert ("if amount == 0", "runs") not in found


def test_a_failure_that_the_caller_swallows_counts(environment: search.CoverageEnv, contract: Any) -> None:
    taker, giver = contract.deploy(1), contract.deploy(1)

    giver.offer(taker, 5)

    found = reached(environment)
    assert {('assert amount < 5, "too much"', "false"), ("if taken", "false")} <= found
    assert ("if taken", "true") not in found
    assert ("return self.larger + 4", "runs") not in found


def test_what_a_reverted_test_found_stays_found_and_its_successor_finds_more(
    environment: search.CoverageEnv, contract: Any
) -> None:
    with boa.env.anchor():
        contract.deploy(1).take(0)
    with boa.env.anchor():
        contract.deploy(6).take(1)

    found = ways(reached(environment))
    assert {("if amount == 0", "true"), ("elif amount == 1", "true"), ("if size > 5", "true")} <= found
