"""Which part of a whole takes how long: each moment counts for the innermost stage that is being measured."""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch


class Stopwatch:
    """``seconds`` by stage, from `start` to `stop`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stages: list[str] = []
        self._since = 0.0
        self._runs = False

    def start(self) -> float:
        """Forget what was measured before. Returns the time."""
        self.seconds = defaultdict(float)
        self._runs = True
        self._since = time.perf_counter()
        return self._since

    def stop(self) -> None:
        """What follows does not count."""
        self._book()
        self._runs = False

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What happens inside counts for it, but for stages inside it."""
        self._book()
        self._stages.append(name)
        try:
            yield
        finally:
            self._book()
            self._stages.pop()

    def of(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function as a stage."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return function(*args, **kwargs)

        return timed

    @contextmanager
    def watching(self, stages: list[tuple[str, Any, str]]) -> Iterator[None]:
        """Stages by name, and what each is: an attribute of a module or class."""
        with ExitStack() as patches:
            for name, holder, attribute in stages:
                patches.enter_context(patch.object(holder, attribute, self.of(name, getattr(holder, attribute))))
            yield

    def _book(self) -> None:
        now = time.perf_counter()
        if self._runs:
            self.seconds[self._stages[-1] if self._stages else "all else"] += now - self._since
        self._since = now
