"""What a running keeper shows and tells: metrics and health by HTTP, alerts to people, as the settings have it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from keeper.config import Settings
from keeper.errors import KeelError
from keeper.operations.session import Session
from keeper.runtime.alerts import Alerter, AlertPace, Condition, Severity
from keeper.runtime.metrics import Metrics
from keeper.runtime.supervisor import Supervisor
from keeper.runtime.watch import Watch

_LOG = logging.getLogger(__name__)


@contextmanager
def watching(session: Session, settings: Settings) -> Iterator[Watch]:
    """A watch, served and told while the block lasts; an error that ends it is told, too.

    Raises:
        ConfigError: nothing can be served at `listen`, or a URL in `[alerts]` is none.
    """
    metrics = Metrics()
    supervisor = Supervisor(os.environ.get("NOTIFY_SOCKET", ""))
    world = None if session.connection.has_own_time else time.time
    watch = Watch(session.connection, settings.alerts.levels, metrics, supervisor=supervisor, world=world)
    with ExitStack() as opened:
        if settings.alerts.urls or settings.alerts.escalation_urls:
            opened.enter_context(_alerting(watch, settings))
        if settings.listen:  # FastAPI is loaded only where it serves
            from keeper.web.app import make_app
            from keeper.web.server import Server

            server = opened.enter_context(Server(make_app(watch.health, metrics.registry), settings.listen))
            _LOG.info("health and metrics at %s", server.url)
        yield watch


@contextmanager
def _alerting(watch: Watch, settings: Settings) -> Iterator[None]:
    from keeper.runtime.channels import Channels

    alerts, metrics = settings.alerts, watch.metrics

    def counted(severity: Severity, _: bool) -> None:
        metrics.alerts.labels(severity).inc()

    channels = Channels(alerts.urls or alerts.escalation_urls, alerts.escalation_urls, refused=metrics.undelivered.inc)
    pace = AlertPace(repeat=60 * alerts.repeat_minutes, escalate=60 * alerts.escalate_minutes)
    alerter = Alerter(channels.send, pace, watch=watch.stalled, counted=counted)
    watch.tell(alerter)
    alerter.start()
    last: list[Condition] = []
    try:
        yield
    except Exception as error:
        what = str(error) if isinstance(error, KeelError) else type(error).__name__
        last.append(Condition("keeper-stopped", Severity.CRITICAL, f"The keeper has stopped: {what}"))
        raise
    finally:
        alerter.stop(last)
