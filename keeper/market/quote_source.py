"""Where a running vol poster has its quotes from: a file that somebody else records, or the same by http(s)."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from keeper.chain.rpc import mask_url
from keeper.errors import ConfigError
from keeper.market.option_chain import OptionChain, read_chain

_LARGEST: Final = 64 * 2**20  # bytes: a chain of a thousand options has a tenth of one
_PART: Final = 2**16


class QuoteSource:
    """An option chain as `read_chain` reads it, at a path or a URL that ends in .parquet or .csv.

    Args:
        seconds: For the whole of a fetch by http.
    """

    def __init__(self, at: str, *, seconds: float) -> None:
        self._at, self._seconds = at, seconds
        self._is_remote = urlsplit(at).scheme in ("http", "https")
        self.label = mask_url(at) if self._is_remote else at

    def read(self) -> OptionChain:
        """The newest quotes.

        Raises:
            ConfigError: there are none, in time.
        """
        if not self._is_remote:
            return read_chain(Path(self._at))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"quotes{PurePosixPath(urlsplit(self._at).path).suffix}"
            path.write_bytes(self._fetched())
            try:
                return read_chain(path)
            except ConfigError as error:
                raise ConfigError(error.what.replace(str(path), self.label), todo=error.todo) from None

    def _fetched(self) -> bytes:
        """All of it: a server that sends a byte now and then does not keep us longer than one that is silent."""
        give_up, body = time.monotonic() + self._seconds, bytearray()
        try:
            with requests.get(self._at, stream=True, timeout=self._seconds) as answer:
                if answer.status_code != 200:
                    raise self._failed(f"answers {answer.status_code}")
                while part := answer.raw.read1(_PART, decode_content=True):  # what is there, and not until it is full
                    body += part
                    if time.monotonic() > give_up:
                        raise self._failed(f"is not there after {self._seconds:g} s")
                    if len(body) > _LARGEST:
                        raise self._failed(f"has more than {_LARGEST:,} bytes")
        except (requests.RequestException, HTTPError) as error:  # whose text has the URL
            raise self._failed(f"cannot be fetched ({type(error).__name__})") from None
        return bytes(body)

    def _failed(self, what: str) -> ConfigError:
        return ConfigError(f"{self.label} {what}.", todo="See whether it is served, and `[surface]` in keel.toml.")
