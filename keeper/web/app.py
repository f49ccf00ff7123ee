"""`/health` and `/metrics` of a keeper: for its supervisor and for Prometheus, not for the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from keeper.runtime.watch import Health


def make_app(health: Callable[[], Health], registry: CollectorRegistry) -> FastAPI:
    """The application.

    Args:
        health: Asked at each request; it must not wait for the loop.
    """
    app = FastAPI(title="Keel's keeper", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    def get_health() -> JSONResponse:
        """200 while the loop comes round, else 503: restart the process."""
        found = health()
        return JSONResponse(asdict(found), status_code=200 if found.alive else 503)

    @app.get("/metrics")
    def get_metrics() -> Response:
        """In Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return app
