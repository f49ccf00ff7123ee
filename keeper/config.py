"""Settings of the operator: `keel.toml` (and an environment variable) to frozen values, or one clear message.

`keel.toml.example` shows every key with its default. KEEL_RPC_URL overrides `rpc_url`,
because such URLs are secrets more often than not. A passphrase is never read from here (keeper/chain/accounts.py).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

from eth_utils.address import is_checksum_formatted_address, to_checksum_address
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from keeper.domain.policy import Policy
from keeper.domain.safety import DeskLimits, KillLevels, WatchLevels
from keeper.errors import ConfigError

Location = tuple[int | str, ...]  # of a key, from the top of the file

DEFAULT_PATH: Final = Path("keel.toml")
RPC_URL_VARIABLE: Final = "KEEL_RPC_URL"
_SECRETS: Final = ("rpc_url", "relay_url", "signer_url", "journal_url", "alerts.", "surface.")  # not repeated

_FROZEN: Final = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
_DEFAULTS: Final = Policy()

# What can be right for each key of a table; those that are not here may be anything from zero up.
_BOUNDS: Final[dict[str, Any]] = {
    "risk_aversion": Field(gt=0),
    "risk_horizon_days": Field(gt=0, le=365),
    "tail_level": Field(ge=0.5, le=0.999),
    "capital_charge": Field(ge=0, le=10),
    "correlation": Field(ge=-0.95, le=0.95),
    "default_vol": Field(gt=0, le=5),
    "band_use": Field(gt=0, le=1),
    "limit_slippage": Field(ge=0, le=0.05),
    "min_idle": Field(ge=0, le=1),
    "margin_tolerance": Field(gt=0, le=1e-3),
    "deadline_seconds": Field(ge=1, le=120),
    "max_loss_use": Field(gt=0, le=1),
    "rebalance_gas": Field(ge=21_000, le=16_777_216),
    "leg_gas": Field(ge=0, le=16_777_216),
    "premium_share": Field(ge=0, le=1),
}
_LEVEL_BOUNDS: Final[dict[str, Any]] = {
    "max_drawdown": Field(gt=0, le=1),
    "max_margin_use": Field(gt=0, le=1),
    "min_loss_budget": Field(ge=0, lt=1),
    "max_gas_a_day": Field(gt=0),
}


def _fields(defaults: Any, bounds: Mapping[str, Any]) -> dict[str, Any]:
    """Of a table whose keys are a dataclass's; those without bounds may be anything from zero up."""
    return {
        name: (Annotated[type(default), bounds.get(name, Field(ge=0))], default)
        for name, default in asdict(defaults).items()
    }


# The `[policy]` table: keys, meaning and defaults are those of keeper.domain.policy.Policy.
PolicySettings: Final = create_model("PolicySettings", __config__=_FROZEN, **_fields(_DEFAULTS, _BOUNDS))
# The `[kill_switch]` table: those of keeper.domain.safety.KillLevels.
KillSettings: Final = create_model("KillSettings", __config__=_FROZEN, **_fields(KillLevels(), _LEVEL_BOUNDS))


class AlertSettings(BaseModel):
    """`[alerts]`: who is told, and from when.

    Attributes:
        urls: apprise's, for everything.
        escalation_urls: For what is critical and lasts, or could not be told to the first.
        repeat_minutes: Until what lasts is told again.
        escalate_minutes: Until what is critical goes to the second list.

    The others are those of keeper.domain.safety.WatchLevels.
    """

    model_config = _FROZEN

    urls: list[str] = []
    escalation_urls: list[str] = []
    repeat_minutes: Annotated[float, Field(gt=0)] = 60.0
    escalate_minutes: Annotated[float, Field(ge=0)] = 15.0
    low_gas: Annotated[float, Field(ge=0)] = WatchLevels.low_gas
    margin_use: Annotated[float, Field(gt=0, le=1)] = WatchLevels.margin_use
    missed_hedge_seconds: Annotated[int, Field(ge=0)] = WatchLevels.missed_hedge_seconds
    refused_seconds: Annotated[int, Field(ge=0)] = WatchLevels.refused_seconds
    stuck_seconds: Annotated[int, Field(ge=1)] = WatchLevels.stuck_seconds
    node_seconds: Annotated[int, Field(ge=1)] = WatchLevels.node_seconds
    head_seconds: Annotated[int, Field(ge=30)] = WatchLevels.head_seconds
    stall_seconds: Annotated[int, Field(ge=10)] = WatchLevels.stall_seconds

    @property
    def levels(self) -> WatchLevels:
        """The domain's."""
        return WatchLevels(**{name: getattr(self, name) for name in _WATCHED})


def checked_address(given: str) -> str:
    """An address with its checksum. Raises ValueError: it is none, it is wrong, or it is nobody's."""
    try:
        checked = to_checksum_address(given)
    except ValueError:
        raise ValueError("is no address") from None
    if is_checksum_formatted_address(given) and given != checked:
        raise ValueError("has a wrong checksum: is a digit of it wrong?")
    if int(checked, 16) == 0:
        raise ValueError("is nobody's")
    return checked


class QuoteSettings(BaseModel):
    """`[quotes]`: the quote server, where `listen` is not empty.

    Attributes:
        listen: host:port that takers reach, through whatever stands before it.
        makers: Addresses that may offer; with none nobody may.

    The others are those of keeper.domain.safety.DeskLimits.
    """

    model_config = _FROZEN

    listen: str = ""
    makers: Annotated[tuple[Annotated[str, AfterValidator(checked_address)], ...], Field(strict=False)] = ()
    requests_per_minute: Annotated[int, Field(ge=1)] = DeskLimits.requests_per_minute
    requests_per_second: Annotated[int, Field(ge=1, le=1_000)] = DeskLimits.requests_per_second
    max_open: Annotated[int, Field(ge=1)] = DeskLimits.max_open
    max_share: Annotated[float, Field(gt=0, le=1)] = DeskLimits.max_share
    max_offers: Annotated[int, Field(ge=1, le=100)] = DeskLimits.max_offers
    stale_seconds: Annotated[float, Field(gt=0, le=45)] = DeskLimits.stale_seconds

    @property
    def limits(self) -> DeskLimits:
        """The domain's."""
        return DeskLimits(**self.model_dump(exclude={"listen", "makers"}))


class SurfaceSettings(BaseModel):
    """`[surface]`: the vol poster, where one of the markets has a source.

    Attributes:
        eth: Path or http(s) URL of the option chain's quotes, as `keel surface post` reads them; empty for none.
        btc: The same.
        fetch_seconds: Between reads of them.
        timeout_seconds: For one by http.
    """

    model_config = _FROZEN

    eth: str = ""
    btc: str = ""
    fetch_seconds: Annotated[float, Field(ge=1, le=600)] = 60.0
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0

    @property
    def sources(self) -> dict[str, str]:
        """By symbol, those that are set."""
        return {symbol: at for symbol, at in (("ETH", self.eth), ("BTC", self.btc)) if at}


_WATCHED: Final = tuple(asdict(WatchLevels()))
_TABLES: Final = {
    "policy": tuple(asdict(_DEFAULTS)),
    "kill_switch": tuple(asdict(KillLevels())),
    "alerts": tuple(AlertSettings.model_fields),
    "quotes": tuple(QuoteSettings.model_fields),
    "surface": tuple(SurfaceSettings.model_fields),
}


class Settings(BaseModel):
    """`keel.toml`. Relative paths are from the working directory, as everywhere on a command line.

    Attributes:
        rpc_url: http or https URL of a node, or of several, separated by spaces; empty when none is configured.
        rpc_quorum: How many of several must agree on the newest block; 0 for more than half of them.
        relay_url: Where transactions are sent first, so that nobody sees them before their block.
        deployment: Manifest; by default `deployments/<chain_id>.json` of the node's chain.
        journal_url: SQLAlchemy URL. Dry runs write to another file beside it.
        machine: Name of this machine among those that share the journal; by default the host's.
        lease_seconds: After which another machine takes over from one that is silent.
        keystore: Path of an encrypted key file, or the alias of an ape account.
        passphrase_file: File with the keystore's passphrase; else KEEL_PASSPHRASE, else it is asked for.
        signer_url: Of a remote signer, whose keys `keystore`, `quoter_keystore` and `poster_keystore` may name by their
            addresses.
        guardian_keystore: Of a guardian, with which the kill switch stops new business on chain too; empty for none.
        guardian_passphrase_file: Of that one; nobody is asked for it.
        quoter_keystore: Of the quoter, for the quote server; its own, never the keeper's.
        quoter_passphrase_file: Of that one; nobody is asked for it.
        poster_keystore: Of the vol poster, for `[surface]`; its own, never the keeper's.
        poster_passphrase_file: Of that one; nobody is asked for it.
        listen: host:port of `/health` and `/metrics`; empty for none.
        poll_seconds: Between looks for a new block.
        rpc_timeout_seconds: For one request.
        receipt_timeout_seconds: For a transaction to be mined before the keeper goes on and looks again.
    """

    model_config = _FROZEN

    rpc_url: str = ""
    rpc_quorum: Annotated[int, Field(ge=0, le=99)] = 0
    relay_url: str = ""
    deployment: str = ""
    journal_url: str = "sqlite:///keel.sqlite"
    machine: Annotated[str, Field(max_length=64)] = ""
    lease_seconds: Annotated[float, Field(ge=1, le=600)] = 30.0
    keystore: str = ""
    passphrase_file: str = ""
    signer_url: str = ""
    guardian_keystore: str = ""
    guardian_passphrase_file: str = ""
    quoter_keystore: str = ""
    quoter_passphrase_file: str = ""
    poster_keystore: str = ""
    poster_passphrase_file: str = ""
    listen: str = ""
    poll_seconds: Annotated[float, Field(ge=0.001, le=600)] = 1.0
    rpc_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    receipt_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    policy_table: PolicySettings = Field(default_factory=PolicySettings, alias="policy")  # type: ignore[valid-type]
    kill_table: KillSettings = Field(default_factory=KillSettings, alias="kill_switch")  # type: ignore[valid-type]
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    quotes: QuoteSettings = Field(default_factory=QuoteSettings)
    surface: SurfaceSettings = Field(default_factory=SurfaceSettings)

    @property
    def policy(self) -> Policy:
        """The domain's policy."""
        return Policy(**self.policy_table.model_dump())  # type: ignore[attr-defined]

    @property
    def kill_levels(self) -> KillLevels:
        """The domain's levels of the kill switch."""
        return KillLevels(**self.kill_table.model_dump())  # type: ignore[attr-defined]


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read settings from `path`, or from keel.toml if there is one; else the defaults.

    Raises:
        ConfigError: the file is named and missing, is not TOML, or a key in it cannot be right. Names file and key.
    """
    where = path or DEFAULT_PATH
    todo = "Copy keel.toml.example there, and change what you need."
    table = read_table(where, todo) if path is not None or where.exists() else {}
    try:
        settings = Settings.model_validate(table)
    except ValidationError as error:
        raise ConfigError(
            f"{where}: {problem_of(error, _near)}.", kept="Nothing was started.", todo="See keel.toml.example."
        ) from None
    rpc_url = environment.get(RPC_URL_VARIABLE) or settings.rpc_url
    return settings.model_copy(update={"rpc_url": rpc_url})


def read_table(path: Path, todo: str) -> dict[str, Any]:
    """A TOML file. `todo` is said when there is none.

    Raises:
        ConfigError: missing, unreadable or not TOML.
    """
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"There is no config file {path}.", todo=todo) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The config file {path} cannot be read: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The config file {path} is not TOML: {error}.") from None


def problem_of(error: ValidationError, near: Callable[[Location], str]) -> str:
    """The first mistake in one clause; ``near(location)`` says which keys there are, as in ``are a, b``."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"there is no key `{key}`; the keys {near(problem['loc'])}"
    message = problem["msg"].removeprefix("Input ")
    return f"`{key}` {message}" + ("" if key.startswith(_SECRETS) else f", not {problem['input']!r}")


def _near(location: Location) -> str:
    if len(location) > 1:
        return f"of [{location[0]}] are {', '.join(_TABLES[str(location[0])])}"
    keys = [field.alias or name for name, field in Settings.model_fields.items()]
    return f"are {', '.join(keys)}"
