"""How many may ask the quote desk, and how often."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from keeper.domain.safety import DeskLimits

_MINUTE: Final = 60.0


class Paces:
    """Counts requests of the last minute. Safe to use from several threads."""

    def __init__(self, limits: DeskLimits, clock: Callable[[], float]) -> None:
        self._limits, self._clock, self._lock = limits, clock, threading.Lock()
        self._asked: deque[tuple[float, str]] = deque()  # bounded by what all together may ask in a minute
        self._by_taker: dict[str, int] = {}
        self._second: deque[float] = deque()

    def too_many(self, taker: str) -> str:
        """Count a request. Returns why it is one too many, empty where it is not; what is refused does not count."""
        with self._lock:
            now = self._clock()
            self._forget(now)
            if len(self._second) >= self._limits.requests_per_second:
                return "all takers together ask too often"
            if self._by_taker.get(taker, 0) >= self._limits.requests_per_minute:
                return f"{self._limits.requests_per_minute} requests in a minute"
            self._asked.append((now, taker))
            self._second.append(now)
            self._by_taker[taker] = self._by_taker.get(taker, 0) + 1
            return ""

    def _forget(self, now: float) -> None:
        while self._second and now - self._second[0] >= 1.0:
            self._second.popleft()
        while self._asked and now - self._asked[0][0] >= _MINUTE:
            _, taker = self._asked.popleft()
            self._by_taker[taker] -= 1
            if not self._by_taker[taker]:
                del self._by_taker[taker]
