"""Who is told what, and when: one message per trouble, not per block; again while it lasts, louder while nobody acts.

The loop says which conditions hold; `AlertBook` is pure and says what is to be told at a time; `Alerter` tells it from
a thread of its own, so that a channel that hangs never holds up a hedge.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

TICK_SECONDS: Final = 1.0
SETTLED_AFTER: Final = 60.0  # seconds without a condition before it is over: what flaps is one trouble
MAX_A_MINUTE: Final = 6  # messages to one list; what is beyond is counted in the next one
RETRY_SECONDS: Final = 15.0  # after a channel has refused
_LOG = logging.getLogger(__name__)


class Severity(StrEnum):
    """WARNING: someone should look today. CRITICAL: someone should look now; it is escalated."""

    WARNING = "warning"
    CRITICAL = "critical"


class Channel(StrEnum):
    """The first list is told everything, the second what is critical and lasts."""

    FIRST = "first"
    SECOND = "second"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that holds and should not. ``key`` is what it is told once for."""

    key: str
    severity: Severity
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be told; ``phase`` is `new`, `still`, `escalated` or `over`."""

    condition: Condition
    channel: Channel
    phase: str
    also: int = 0  # more that wait for a quieter minute

    @property
    def title(self) -> str:
        """One line."""
        return f"Keel: {self.condition.key}: {self.phase}" + (f" (and {self.also} more)" if self.also else "")


@dataclass(frozen=True, slots=True)
class AlertPace:
    """Seconds until what lasts is told again, and until what is critical goes to the second list."""

    repeat: float = 3_600.0
    escalate: float = 900.0


@dataclass(slots=True)
class _Trouble:
    condition: Condition
    since: float
    seen: float
    told: dict[Channel, float]
    retry_at: float = 0.0


class AlertBook:
    """Which troubles there are and what was told of them. Times are seconds of any clock that only goes forward."""

    def __init__(self, pace: AlertPace) -> None:
        self._pace = pace
        self._troubles: dict[str, _Trouble] = {}
        self._told_at: dict[Channel, list[float]] = {channel: [] for channel in Channel}

    def update(self, conditions: Iterable[Condition], now: float) -> None:
        """These hold now, and no others."""
        for condition in conditions:
            known = self._troubles.get(condition.key)
            if known is None:
                self._troubles[condition.key] = _Trouble(condition, now, now, {})
            else:
                known.condition, known.seen = condition, now

    def due(self, now: float) -> list[Message]:
        """What is to be told now; `tell` or `failed` must follow for each."""
        messages: list[Message] = []
        settled = [key for key, one in self._troubles.items() if now - one.seen >= SETTLED_AFTER and not one.told]
        for key in settled:
            del self._troubles[key]
        for trouble in self._troubles.values():
            if now < trouble.retry_at:
                continue
            if now - trouble.seen >= SETTLED_AFTER:
                messages += [Message(trouble.condition, channel, "over") for channel in trouble.told]
            else:
                messages += self._due(trouble, now)
        return self._paced(messages, now)

    def told(self, message: Message, now: float) -> None:
        """A message has been delivered."""
        self._told_at[message.channel].append(now)
        trouble = self._troubles.get(message.condition.key)
        if trouble is None:
            return
        if message.phase == "over":
            del trouble.told[message.channel]
        else:
            trouble.told[message.channel] = now

    def failed(self, message: Message, now: float) -> None:
        """A message could not be delivered: it is tried again, and one that is critical goes to the second list now."""
        trouble = self._troubles.get(message.condition.key)
        if trouble is None:
            return
        trouble.retry_at = now + RETRY_SECONDS
        if message.channel is Channel.FIRST and trouble.condition.severity is Severity.CRITICAL:
            trouble.since = min(trouble.since, now - self._pace.escalate)

    def _due(self, trouble: _Trouble, now: float) -> list[Message]:
        found = []
        last = trouble.told.get(Channel.FIRST)
        if last is None:
            found.append(Message(trouble.condition, Channel.FIRST, "new"))
        elif now - last >= self._pace.repeat:
            found.append(Message(trouble.condition, Channel.FIRST, "still"))
        if trouble.condition.severity is Severity.CRITICAL and now - trouble.since >= self._pace.escalate:
            louder = trouble.told.get(Channel.SECOND)
            if louder is None or now - louder >= self._pace.repeat:
                found.append(Message(trouble.condition, Channel.SECOND, "escalated"))
        return found

    def _paced(self, messages: list[Message], now: float) -> list[Message]:
        """No more than so many a minute to one list, what is critical first; the last one says how many wait."""
        paced = []
        for channel in Channel:
            self._told_at[channel] = [at for at in self._told_at[channel] if now - at < 60.0]
            room = MAX_A_MINUTE - len(self._told_at[channel])
            mine = [one for one in messages if one.channel is channel]
            mine.sort(key=lambda one: one.condition.severity is not Severity.CRITICAL)
            kept = mine[: max(room, 0)]
            if kept and len(mine) > len(kept):
                kept[-1] = replace(kept[-1], also=len(mine) - len(kept))
            paced += kept
        return paced


Send = Callable[[Message], bool]


class Alerter:
    """Tells from a thread of its own what the loop finds.

    Args:
        send: Delivers a message; False or an exception when it could not be.
        watch: Conditions that this thread looks at itself: that the loop has stalled, who else could say?
        counted: Told of each delivery: the severity, and whether it succeeded.
    """

    def __init__(
        self,
        send: Send,
        pace: AlertPace,
        *,
        watch: Callable[[], Iterable[Condition]] = tuple,
        counted: Callable[[Severity, bool], None] = lambda _severity, _ok: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send, self._watch, self._counted, self._clock = send, watch, counted, clock
        self._book = AlertBook(pace)
        self._lock = threading.Lock()
        self._conditions: tuple[Condition, ...] = ()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def stop(self, last: Iterable[Condition] = (), patience: float = 20.0) -> None:
        """Tell what is left, and these, then end; not longer than `patience` seconds."""
        self.update([*self._conditions, *last])
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def update(self, conditions: Iterable[Condition]) -> None:
        """These hold now. Returns at once."""
        with self._lock:
            self._conditions = tuple(conditions)

    def round(self) -> None:
        """Tell what is due."""
        with self._lock:
            conditions = self._conditions
        now = self._clock()
        self._book.update([*conditions, *self._watch()], now)
        for message in self._book.due(now):
            delivered = self._deliver(message)
            (self._book.told if delivered else self._book.failed)(message, self._clock())
            self._counted(message.condition.severity, delivered)

    def _deliver(self, message: Message) -> bool:
        try:
            return self._send(message)
        except Exception as error:  # a channel's library may raise anything; its words may hold the channel's URL
            _LOG.error("an alert could not be sent: %s", type(error).__name__)
            return False

    def _run(self) -> None:
        while not self._over.wait(TICK_SECONDS):
            self.round()
        self.round()
