"""What the vol poster runs: `keel surface`."""

from __future__ import annotations

from pathlib import Path

import click

from keeper.cli.common import asking, config_option, json_option, settings_of, show
from keeper.errors import ConfigError


@click.group()
def surface() -> None:
    """The volatility surface that options are marked by."""


@surface.command("post")
@click.argument("quotes", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--underlying", type=click.Choice(["ETH", "BTC"]), default="ETH", show_default=True)
@click.option(
    "--expiry", "expiries", multiple=True, metavar="DATE", help="Friday that has no slice yet; may be given again."
)
@click.option("--dry-run", is_flag=True, help="Show what would be posted and why; needs no key.")
@click.option("--account", default="", metavar="ALIAS|FILE", help="Key of the vol poster.")
@json_option
@config_option
def surface_post(
    quotes: Path,
    underlying: str,
    expiries: tuple[str, ...],
    dry_run: bool,
    account: str,
    as_json: bool,
    config: Path | None,
) -> None:
    """Calibrate a surface to the option chain in the file QUOTES and post its slices.

    QUOTES is .parquet or .csv with the columns time, type, strike, expiry, forward, index, bid and ask; its last
    snapshot counts. Slices that the market has left are moved, at most as fast as the oracle allows; others are posted
    again before they are stale. Run it every ten minutes.

    \b
    Examples:
      keel surface post eth.parquet --dry-run
      keel surface post eth.parquet --account vol_poster --expiry 2026-12-25
    """
    if not dry_run and not account.strip():
        raise ConfigError("Who posts?", kept="Nothing was sent.", todo="Give --account or --dry-run.")
    settings = settings_of(config, account)
    from keeper.domain.series import EXPIRY_HOUR
    from keeper.domain.times import parse_utc
    from keeper.domain.units import HOUR
    from keeper.operations.surface import post_surface, render

    also = [parse_utc(date, "--expiry", kept="Nothing was sent.") + EXPIRY_HOUR * HOUR for date in expiries]
    report = post_surface(settings, quotes, underlying, also, dry_run=dry_run, ask=asking())
    show(report.to_json() if as_json else render(report, dry_run=dry_run))
