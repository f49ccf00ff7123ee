"""`keel data fetch`: an exchange's candles into a file that `keel demo --prices` reads.

What has been fetched is in FILE.partial, a line of what it is and then one candle a line, until FILE is written whole:
an interrupted fetch loses nothing, and the same command goes on.
"""

from __future__ import annotations

import fcntl
import io
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from keeper.chain.deployments import write_whole
from keeper.domain.times import parse_utc, utc_minute
from keeper.errors import ConfigError, KeelError
from keeper.market.candles import COLUMNS, Market, Row, pages

FORMATS: Final = (".parquet", ".csv")
Progress = Callable[[int, int], None]  # seconds that are known, of how many


@dataclass(frozen=True, slots=True)
class Gap:
    """Candles that the exchange does not have: the first one missing, and the first one after them (seconds UTC)."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{utc_minute(self.start)} to {utc_minute(self.end)}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A written file: ``rows`` candles, of which ``kept`` are from an earlier attempt."""

    path: Path
    rows: int
    kept: int
    gaps: tuple[Gap, ...]


def check_target(path: Path, *, replace: bool) -> None:
    """
    Raises:
        ConfigError: no file of candles can be written there, or there is one.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(
            f"{path} is neither .parquet nor .csv.", kept="Nothing was fetched.", todo="Choose another name with --out."
        )
    if path.exists() and not (replace and path.is_file()):
        raise ConfigError(
            f"{path} is there already.",
            kept="Nothing was fetched, and it was not changed.",
            todo="Choose another name with --out" + (", or say --replace." if path.is_file() else "."),
        )


def window(start: str, end: str | None, seconds: int, now: int) -> tuple[int, int]:
    """Seconds of a window of candles that have closed; ``end`` is now by default.

    Raises:
        ConfigError: a time is not one, or the window is empty or reaches into the future.
    """
    newest = now - now % seconds
    begin = -(-parse_utc(start, "--from", kept="Nothing was fetched.") // seconds) * seconds
    finish = newest if end is None else parse_utc(end, "--to", kept="Nothing was fetched.") // seconds * seconds
    if finish > newest:
        raise ConfigError(f"--to {end} is in the future.", kept="Nothing was fetched.", todo="Leave it out: until now.")
    if finish <= begin:
        raise ConfigError(
            f"There is no candle between {utc_minute(begin)} and {utc_minute(finish)} UTC.",
            kept="Nothing was fetched.",
            todo="Choose --from before --to.",
        )
    return begin, finish


def fetch(market: Market, begin: int, end: int, path: Path, progress: Progress = lambda *_: None) -> Fetched:
    """Fetch what is missing of a window and write the file.

    Raises:
        KeelError: of the kind of whatever stands in the way; what has been fetched is kept.
    """
    partial = path.with_name(path.name + ".partial")
    with _opened(partial) as file:
        rows = _kept(file, partial, market, begin)
        kept = len(rows)
        try:
            for known, page in pages(market, rows[-1][0] + market.seconds if rows else begin, end):
                file.write("".join(json.dumps(row)[1:-1] + "\n" for row in page))
                file.flush()
                rows += page
                progress(known - begin, end - begin)
            rows = [row for row in rows if row[0] < end]
            if not rows:
                raise ConfigError(
                    f"{market.exchange.id} has no candles of {market.symbol}"
                    f" from {utc_minute(begin)} to {utc_minute(end)} UTC.",
                    todo="Choose another time or another exchange.",
                )
            write_whole(path, _bytes(rows, path.suffix.lower()))
        except (KeelError, OSError, KeyboardInterrupt) as error:
            if not rows:
                partial.unlink()
            raise _told(error, partial, len(rows)) from None
        partial.unlink()
    return Fetched(path, len(rows), kept, _gaps(rows, begin, end, market.seconds))


# ---------------------------------------------------------------- what has been fetched so far


@contextmanager
def _opened(partial: Path) -> Iterator[IO[str]]:
    """The file of what has been fetched so far, for this process alone.

    Raises:
        ConfigError: it cannot be, or another process has it.
    """
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        file = partial.open("a+", encoding="utf-8", newline="")
    except OSError as error:
        raise _told(error, partial, 0) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ConfigError(
            f"Another `keel data fetch` writes {partial}.", kept="Nothing was fetched.", todo="Wait for it."
        ) from None
    with suppress(OSError), file:  # what could not be written was said before it is closed
        yield file


def _kept(file: IO[str], partial: Path, market: Market, begin: int) -> list[Row]:
    """What an earlier attempt fetched; the file's end is then where to go on.

    Raises:
        ConfigError: it is of another fetch, or damaged.
    """
    is_of = json.dumps(
        {"exchange": market.exchange.id, "symbol": market.symbol, "spacing": market.spacing, "from": utc_minute(begin)}
    )
    other = ConfigError(
        f"{partial} is what is left of another fetch.",
        kept="Nothing was fetched, and it was not changed.",
        todo="Finish that one with its own command, remove the file, or choose another name with --out.",
    )
    try:
        file.seek(0)
        head, *lines = file.read().split("\n")
    except UnicodeDecodeError:
        raise other from None
    if not lines:  # not even its first line was written
        if not is_of.startswith(head):
            raise other
        file.truncate(0)
        file.write(is_of + "\n")
        return []
    if head != is_of:
        raise other
    file.truncate(len("\n".join([head, *lines[:-1]])) + 1)  # a line that was cut short; all is ASCII
    file.seek(0, io.SEEK_END)
    try:
        rows = [_row(line) for line in lines[:-1]]
    except (ValueError, TypeError):
        rows = []
    times = [begin - 1, *(row[0] for row in rows)]
    if len(rows) != len(lines) - 1 or any(later <= earlier for earlier, later in itertools.pairwise(times)):
        raise ConfigError(
            f"{partial} is damaged.", kept="Nothing was fetched.", todo="Remove it, and give the same command again."
        )
    return rows


def _row(line: str) -> Row:
    moment, open_, high, low, close, volume = json.loads(f"[{line}]")
    return int(moment), float(open_), float(high), float(low), float(close), float(volume)


def _told(error: BaseException, partial: Path, rows: int) -> KeelError:
    """The error as people should read it."""
    kept = f"{rows:,} candles are kept in {partial}." if rows else "Nothing was fetched."
    again = "Give the same command again: it goes on from there." if rows else ""
    if isinstance(error, KeelError):
        return type(error)(error.what, kept=kept, todo=f"{error.todo} {again}".strip())
    if isinstance(error, OSError):
        return ConfigError(
            f"{error.filename or partial} cannot be written: {error.strerror}.",
            kept=kept,
            todo=f"Make room for it, or choose another place with --out. {again}".strip(),
        )
    return KeelError("Interrupted.", kept=kept, todo=again)


# ---------------------------------------------------------------- the result


def _bytes(rows: Sequence[Row], suffix: str) -> bytes:
    import pyarrow.csv
    import pyarrow.parquet

    times, *columns = zip(*rows, strict=True)
    arrays = [
        pyarrow.array([time * 1_000 for time in times], pyarrow.timestamp("ms", tz="UTC")),
        *(pyarrow.array(column, pyarrow.float64()) for column in columns),
    ]
    table = pyarrow.Table.from_arrays(arrays, names=list(COLUMNS))
    sink = io.BytesIO()
    if suffix == ".csv":
        pyarrow.csv.write_csv(table, sink)
    else:
        pyarrow.parquet.write_table(table, sink)
    return sink.getvalue()


def _gaps(rows: Sequence[Row], begin: int, end: int, seconds: int) -> tuple[Gap, ...]:
    times = [begin - seconds, *(row[0] for row in rows), end]
    pairs = itertools.pairwise(times)
    return tuple(Gap(last + seconds, following) for last, following in pairs if following - last > seconds)
