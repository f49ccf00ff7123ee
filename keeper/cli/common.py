"""What the commands share: options, settings, how errors are told and results are shown."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

import click

from keeper.errors import KeelError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from keeper.config import Settings

F = TypeVar("F", bound=Callable[..., Any])

_WIDTH: Final = 110  # of tables where there is no terminal


@contextmanager
def told() -> Iterator[None]:
    """Errors that people can act on are printed as they are, others by name; then the process ends by its exit code."""
    try:
        yield
    except KeelError as error:
        say(f"Error: {error.what}", error.kept, error.todo)
        sys.exit(error.exit_code)
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        # A library's words on a request may hold the node's URL, and with it a key.
        is_network = type(error).__module__.partition(".")[0] in ("requests", "urllib3")
        words = type(error).__name__ + ("" if is_network else f": {error}")
        say(f"Unexpected error: {words}", "Run `keel --debug ...` for the traceback, and report it.")
        sys.exit(1)


def log_to_terminal(debug: bool = False) -> None:
    """What the keeper says while it works, on standard error."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
        stream=sys.stderr,
    )
    logging.getLogger("keeper").setLevel(logging.DEBUG if debug else logging.INFO)
    hush_libraries()


def hush_libraries() -> None:
    """No requests in the log, with --debug neither: a node's key is in its URL, or in the path that is told alone."""
    for name in ("web3", "urllib3", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def config_option(function: F) -> F:
    """`--config FILE`."""
    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Settings file; keel.toml in this directory by default.",
    )(function)


def _not_empty(_: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("It is empty.", param=parameter)
    return value


def account_option(function: F) -> F:
    """`--account`, whose key signs. An empty one must not mean the keeper's key."""
    return click.option(
        "--account",
        required=True,
        callback=_not_empty,
        metavar="ALIAS|FILE",
        help="Key to sign with: an ape account, or a key file. KEEL_PASSPHRASE opens it, or you are asked.",
    )(function)


class Amount(click.ParamType):
    """A decimal number; what is right for it is up to the operation."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return Decimal(value)
        except InvalidOperation:
            self.fail(f"{value!r} is not a number.", param, ctx)


def json_option(function: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(function)


def settings_of(config: Path | None, account: str = "") -> Settings:
    """With ``account``, its key instead of the keeper's; the passphrase file in the settings is then not its own."""
    from keeper.config import load

    settings = load(config)
    return settings.model_copy(update={"keystore": account, "passphrase_file": ""}) if account else settings


def asking() -> Callable[[str], str] | None:
    """Who asks for a passphrase; None where nobody could answer."""
    return _ask if _is_terminal(sys.stdin) else None


def _is_terminal(stream: TextIO | None) -> bool:
    """None is what Python has for a stream that was closed before it started."""
    return stream is not None and stream.isatty()


def _ask(prompt: str) -> str:
    answer: str = click.prompt(prompt, hide_input=True, err=True)
    return answer


def show(what: dict[str, Any] | RenderableType) -> None:
    """Print a result: JSON or a table."""
    try:
        if isinstance(what, dict):
            click.echo(json.dumps(what, indent=2))
            return
        from rich.console import Console

        Console(width=None if _is_terminal(sys.stdout) else _WIDTH).print(what)
    except OSError as error:
        raise KeelError(f"Standard output cannot be written to: {error.strerror}.") from None


def answer(text: str) -> None:
    """Say on standard output what was done; when that is full or gone, it is in the error.

    Raises:
        KeelError: it cannot be written to.
    """
    try:
        click.echo(text)
    except OSError as error:
        raise KeelError(
            f"Standard output cannot be written to: {error.strerror}.", kept=f"What was done is done: {text}"
        ) from None


def say(*lines: str) -> None:
    """Lines on standard error; empty ones are left out."""
    for line in lines:
        if line:
            click.echo(line, err=True)
