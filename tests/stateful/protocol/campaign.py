"""Random sequences of rules from a seed, as many as asked for, shrunk to the steps that matter when one fails.

Hypothesis would do the same with a millisecond of its own at each step; a million of them are wanted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Protocol

_EPISODE = 250  # steps; then the world starts anew
_SHRINKING = 60.0  # seconds


@dataclass(frozen=True)
class Rule:
    """``run`` is tried in proportion to ``weight`` while ``when`` holds."""

    name: str
    weight: int
    when: Callable[[Any], bool]
    run: Callable[[Any, Random], None]


class World(Protocol):
    """What a campaign explores."""

    calls: int  # successful transactions after which every identity was checked
    trace: list[str]
    rules: list[Rule]


Start = Callable[[int], AbstractContextManager[World]]  # of a number that decides what kind of world it is


def rule(weight: int = 1, when: Callable[[Any], bool] = lambda world: True) -> Callable[[Any], Any]:
    """Mark a method ``(self, draw)`` as a rule."""

    def mark(function: Any) -> Any:
        function.rule = Rule(function.__name__, weight, when, function)
        return function

    return mark


def rules_of(kind: type) -> list[Rule]:
    """The rules among a class's methods, in the order of their names."""
    found = (getattr(getattr(kind, name), "rule", None) for name in sorted(dir(kind)))
    return [each for each in found if each is not None]


def explore(start: Start, seed: int, calls: int, shrink: bool = True) -> int:
    """Run episodes until so many calls have been made and checked. Returns how many it were.

    Raises AssertionError with the shortest failing sequence that was found, or with what failed when not to ``shrink``.
    """
    draw, done = Random(seed), 0
    while done < calls:
        kind, steps = draw.getrandbits(32), [draw.getrandbits(64) for _ in range(_EPISODE)]
        with start(kind) as world:
            failure = _run(world, steps)
            done += world.calls
        if failure is not None and not shrink:
            raise failure
        if failure is not None:
            raise AssertionError(_report(partial(start, kind), steps, failure, seed)) from failure
    return done


def _step(world: World, seed: int) -> None:
    draw = Random(seed)
    weights = [each.weight for each in world.rules]
    while True:
        (chosen,) = draw.choices(world.rules, weights)
        if chosen.when(world):
            return chosen.run(world, draw)


def _run(world: World, steps: list[int]) -> Exception | None:
    for seed in steps:
        try:
            _step(world, seed)
        except Exception as failure:
            return failure
    return None


def _report(start: Callable[[], AbstractContextManager[World]], steps: list[int], failure: Exception, seed: int) -> str:
    """The failure, and the sequence that leads to it with whatever steps can be left out left out."""
    with start() as world:
        for count in range(1, len(steps) + 1):
            if _run(world, steps[count - 1 : count]) is not None:
                break
    shortest, piece, until = steps[:count], max(count // 2, 1), time.monotonic() + _SHRINKING
    while piece >= 1 and time.monotonic() < until:
        first = 0
        while first < len(shortest) and time.monotonic() < until:
            shorter = shortest[:first] + shortest[first + piece :]
            with start() as world:
                again = _run(world, shorter)
            if again is not None and str(again).splitlines()[:1] == str(failure).splitlines()[:1]:
                shortest = shorter
            else:
                first += piece
        piece //= 2
    with start() as world:
        _run(world, shortest)
        lines = "\n".join(f"  {line}" for line in world.trace)
    return f"{failure}\nseed {seed}, {len(shortest)} of {count} steps:\n{lines}"
