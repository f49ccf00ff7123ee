"""Looking for the worst 24 hours: by greed, and by cross-entropy over whole schedules."""

import copy
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import boa
import numpy as np

from tests.stateful.stolen_keys.bound import budgets_left
from tests.stateful.stolen_keys.heist import Heist
from tests.stateful.stolen_keys.plays import COMBINATIONS, HARVESTS, PLAYS, SET_UPS, Play

_WORTH_IT = 5e-6  # share of NAV: less is noise


@contextmanager
def tried(heist: Heist) -> Iterator[Heist]:
    """A copy of a heist on a chain that is put back afterwards."""
    with boa.env.anchor():
        yield _copy(heist)


def _copy(heist: Heist) -> Heist:
    new = copy.copy(heist)
    new.truth = copy.deepcopy(heist.truth)
    for name in ("losses", "refusals", "done"):
        setattr(new, name, Counter(getattr(heist, name)))
    for name in ("posted", "posted_at", "ranges"):
        setattr(new, name, dict(getattr(heist, name)))
    return new


@dataclass(frozen=True)
class Move:
    """Plays with their sizes, in order."""

    plays: tuple[tuple[Play, float], ...]

    def make(self, heist: Heist) -> None:
        for play, size in self.plays:
            play(heist, size)

    def __str__(self) -> str:
        return ", then ".join(f"{play.__name__} {size:.2f}" for play, size in self.plays)


def _candidates(deep: bool) -> list[Move]:
    combinations = list(COMBINATIONS)
    if deep:
        combinations += itertools.product(SET_UPS, HARVESTS)
    return [Move(((harvest, 1.0),)) for harvest in HARVESTS] + [
        Move(tuple((play, 1.0) for play in plays)) for plays in combinations
    ]


def greedy(
    heist: Heist, stops: int, looks: int, deep: bool = True, check: Callable[[Heist], None] = lambda _: None
) -> list[str]:
    """At each of ``stops`` times over the day do what gains most for the budgets that it takes, until nothing gains or
    as many ``looks`` were had at what is best. Returns what was done.

    A move is a harvest, or a likely combination of what prepares one and the harvest; when ``deep`` any such pair.
    """
    story: list[str] = []
    moves = _candidates(deep)
    for stop in heist.stops(stops):
        ranks = [(_yield(heist, move), move) for move in moves]
        fresh = True  # since the last move all gains were looked at again
        for _ in range(looks):
            ranks.sort(key=lambda rank: rank[0], reverse=True)
            known, move = ranks[0]
            now = known if fresh else _yield(heist, move)
            if now > 0 and now >= ranks[1][0]:  # what was looked at before yields less now than then
                before = heist.lost
                move.make(heist)
                check(heist)
                story.append(f"{stop}: {move} (+{(heist.lost - before) * 1e4:.2f} bp)")
                fresh = False
            elif known > 0:
                ranks[0] = (now, move)
            elif fresh:
                break
            else:
                ranks = [(_yield(heist, move), move) for move in moves]
                fresh = True
    return story


def _yield(heist: Heist, move: Move) -> float:
    """What a move costs the honest, for what the budgets that it takes could have cost; 0 when that is noise."""
    had = budgets_left(heist.protocol)
    with tried(heist) as trial:
        move.make(trial)
        gain = trial.lost - heist.lost
        return gain / (max(had - budgets_left(heist.protocol), 0.0) + _WORTH_IT) if gain > _WORTH_IT else 0.0


@dataclass(frozen=True)
class Schedule:
    """What is played at each slot, evenly over the day: indices into PLAYS, and sizes."""

    plays: Sequence[int]
    sizes: Sequence[float]

    def run(self, heist: Heist, check: Callable[[Heist], None] = lambda _: None) -> None:
        for slot in heist.stops(len(self.plays)):
            PLAYS[self.plays[slot]](heist, self.sizes[slot])
            check(heist)

    def __str__(self) -> str:
        return ", ".join(f"{PLAYS[i].__name__} {size:.2f}" for i, size in zip(self.plays, self.sizes, strict=True))


def cross_entropy(
    heist: Heist,
    slots: int,
    generations: int,
    population: int,
    seed: int,
    check: Callable[[Heist], None] = lambda _: None,
) -> tuple[float, Schedule]:
    """Rubinstein's cross-entropy method: plays and sizes per slot are drawn, then drawn anew around the best tenth.

    Returns the largest loss found, share of NAV, and its schedule.
    """
    rng = np.random.default_rng(seed)
    odds = np.full((slots, len(PLAYS)), 1 / len(PLAYS))
    mean, spread = np.full(slots, 0.7), np.full(slots, 0.3)
    elite = max(2, population // 10)
    best: tuple[float, Schedule] = (-1.0, Schedule((), ()))
    for _ in range(generations):
        tries: list[tuple[float, Schedule]] = []
        for _ in range(population):
            plays = [int(rng.choice(len(PLAYS), p=row)) for row in odds]
            sizes = np.clip(rng.normal(mean, spread), 0.02, 1.0)
            schedule = Schedule(plays, [float(size) for size in sizes])
            with tried(heist) as trial:
                schedule.run(trial, check)
                tries.append((trial.lost, schedule))
        tries.sort(key=lambda entry: entry[0], reverse=True)
        best = max(best, tries[0], key=lambda entry: entry[0])
        chosen = [schedule for _, schedule in tries[:elite]]
        counts = np.array([np.bincount([s.plays[i] for s in chosen], minlength=len(PLAYS)) for i in range(slots)])
        odds = 0.4 * odds + 0.6 * counts / elite
        odds = 0.98 * odds + 0.02 / len(PLAYS)
        sizes = np.array([schedule.sizes for schedule in chosen])
        mean = 0.4 * mean + 0.6 * sizes.mean(axis=0)
        spread = 0.4 * spread + 0.6 * sizes.std(axis=0) + 0.02
    return best
