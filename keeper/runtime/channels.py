"""Where alerts go: any of apprise's services by URL, in two lists."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keeper.errors import ConfigError
from keeper.runtime.alerts import Channel, Message, Severity

_LOG = logging.getLogger(__name__)


class Channels:
    """The two lists. A message for the second goes to the first where the second is empty.

    Args:
        refused: Called for each URL that does not take a message.

    Raises:
        ConfigError: a URL is none of apprise's. It is not repeated: there is a token in most.
    """

    def __init__(
        self, urls: Sequence[str], escalation_urls: Sequence[str], refused: Callable[[], object] = lambda: None
    ) -> None:
        self._refused = refused
        self._lists: Mapping[Channel, list[Any]] = {
            Channel.FIRST: _opened(urls, "urls"),
            Channel.SECOND: _opened(escalation_urls or urls, "escalation_urls"),
        }

    def send(self, message: Message) -> bool:
        """Deliver to every URL of the list. False when none took it: sent again for the sake of one that is down, it
        would be a storm to the others."""
        import apprise

        condition = message.condition
        kinds = {Severity.WARNING: apprise.NotifyType.WARNING, Severity.CRITICAL: apprise.NotifyType.FAILURE}
        kind = apprise.NotifyType.SUCCESS if message.phase == "over" else kinds[condition.severity]
        delivered = False
        for position, one in enumerate(self._lists[message.channel]):
            if one.notify(title=message.title, body=condition.text, notify_type=kind):
                delivered = True
            else:
                _LOG.error("URL %d of the %s list does not take an alert", position + 1, message.channel)
                self._refused()
        return delivered


def _opened(urls: Sequence[str], name: str) -> list[Any]:
    import apprise

    logging.getLogger("apprise").setLevel(logging.ERROR)
    opened = [apprise.Apprise() for _ in urls]
    for position, (one, url) in enumerate(zip(opened, urls, strict=True)):
        if not one.add(url):
            raise ConfigError(
                f"`alerts.{name}` number {position + 1} is not a URL of a service that apprise knows.",
                kept="Nothing was started.",
                todo="See https://github.com/caronc/apprise/wiki, as in mailto://... or json://127.0.0.1:9000/.",
            )
    return opened
