"""Looking for the worst 24 hours: by greed, and by cross-entropy over whole schedules."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import boa
import numpy as np

from tests.contracts.chain import DAY
from tests.stateful.stolen_keys.heist import Heist
from tests.stateful.stolen_keys.plays import HARVESTS, PLAYS, SET_UPS, Play

_WORTH_IT = 2e-6  # share of NAV: less is noise
_MOST_PLAYS = 60  # per stop


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
    for name in ("posted", "posted_at"):
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
    moves = [Move(((harvest, 1.0),)) for harvest in HARVESTS]
    if deep:
        moves += [Move(((prepare, 1.0), (harvest, 1.0))) for prepare in SET_UPS for harvest in HARVESTS]
    return moves


def greedy(heist: Heist, stops: int, deep: bool = True, check: Callable[[Heist], None] = lambda _: None) -> list[str]:
    """At each of ``stops`` times over the day do what gains most, until nothing does. Returns what was done.

    A move is a harvest, or something that prepares one and then the harvest.
    """
    story = []
    for stop in range(stops):
        for _ in range(_MOST_PLAYS):
            best, gain = None, _WORTH_IT
            for move in _candidates(deep):
                with tried(heist) as trial:
                    move.make(trial)
                    if trial.lost - heist.lost > gain:
                        best, gain = move, trial.lost - heist.lost
            if best is None:
                break
            best.make(heist)
            check(heist)
            story.append(f"{stop}: {best} (+{gain * 1e4:.2f} bp)")
        if stop < stops - 1:
            heist.wait(DAY // (stops - 1))
    return story


@dataclass(frozen=True)
class Schedule:
    """What is played at each slot, evenly over the day: indices into PLAYS, and sizes."""

    plays: Sequence[int]
    sizes: Sequence[float]

    def run(self, heist: Heist, check: Callable[[Heist], None] = lambda _: None) -> None:
        pause = DAY // max(len(self.plays) - 1, 1)
        for slot, (play, size) in enumerate(zip(self.plays, self.sizes, strict=True)):
            if slot:
                heist.wait(pause)
            PLAYS[play](heist, size)
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
