"""Logs as JSON, a line each, for programs: time, level, logger, event, and the block that it is about."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, Final

import structlog

from keeper.chain.rpc import mask_url
from keeper.cli.common import hush_libraries

_URL: Final = re.compile(r"""https?://[^\s"'<>]+""")


def log_as_json(debug: bool = False) -> None:
    """Everything that is logged from here on, also by libraries, on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if debug else logging.WARNING)
    logging.getLogger("keeper").setLevel(logging.DEBUG if debug else logging.INFO)
    hush_libraries()


def formatter() -> logging.Formatter:
    """Of records of the standard library's logging, which the keeper uses throughout."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _masked,
            structlog.processors.JSONRenderer(default=str),
        ],
    )


def _masked(_: Any, __: str, event: Any) -> Any:
    """No path and no query of a URL: providers put their keys there."""
    return {key: _URL.sub(_host, value) if isinstance(value, str) else value for key, value in event.items()}


def _host(found: re.Match[str]) -> str:
    return mask_url(found.group())
