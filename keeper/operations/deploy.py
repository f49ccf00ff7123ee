"""Deploy and wire a vault: every contract, role and venue, verified, as one manifest. It goes on where it stopped."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from keeper.chain.address_book import AddressBook, MarketAddresses
from keeper.chain.artifacts import PROJECT, artifact
from keeper.chain.deployments import CORE, DeployedContract, DeployedVenue, Deployment, save
from keeper.chain.sender import Sender, Sent
from keeper.domain.series import WEEK, next_expiry
from keeper.domain.snapshot import VenueKind
from keeper.domain.units import DAY
from keeper.errors import KeelError, ManifestError
from keeper.operations.contracts import ERC20_ABI
from keeper.operations.deployment_log import DeploymentLog, log_path
from keeper.operations.options import Smile
from keeper.operations.own_pool import make_pool, mint_usdc
from keeper.operations.parameters import Parameters
from keeper.operations.readiness import remarks
from keeper.operations.roles import Keys, governed, grants, wrong_roles
from keeper.operations.seed import NOBODY, missing_seed, require_seed, seed_of
from keeper.pricing.normal_table import normal_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eth_typing import ChecksumAddress
    from web3.types import TxReceipt

TOKEN_URI = "keel://option/{id}"
_ZERO = "0x" + "00" * 20
_VENUES = ("UniswapV3Spot", "AaveV3Short", "AaveV3Lending")
_LONGEST_TENOR = 60 * DAY
_SEEDING = "Vault.deposit for nobody"


def deploy(
    sender: Sender,
    addresses: AddressBook,
    keys: Keys,
    parameters: Parameters | None = None,
    progress: Callable[[str], None] = lambda _: None,
    manifest: Path | None = None,
) -> Deployment:
    """Deploy a whole vault from ``sender``, who is its governor until all is set up, and then nothing any more.

    Where there is no faucet, ``sender`` pays the first deposit.

    Args:
        progress: Called with a sentence before each step.
        manifest: Where to write the manifest. Then a deployment that was interrupted goes on when this is called again
            with the same arguments: beside the manifest is a log of what was sent, until it is complete.

    Raises:
        KeelError: the node is on another chain, the first deposit cannot be paid, a transaction was refused, or the
            wiring is not what was asked for.
        ManifestError: there is a manifest already, or an unfinished deployment of other inputs.
    """
    chain_id = sender.w3.eth.chain_id
    if chain_id != addresses.chain_id:
        raise KeelError(
            f"The address book is for chain {addresses.chain_id}, the node is on chain {chain_id}.",
            kept="Nothing was sent.",
            todo="Connect to the right node.",
        )
    parameters = parameters or Parameters()
    log = _open_log(manifest, _inputs(sender, addresses, keys, parameters))
    if addresses.own_pool is None and not log.sent(_SEEDING):
        require_seed(sender.w3, addresses.usdc, sender.address, seed_of(parameters))
    deployment = _Deployer(sender, addresses, keys, parameters, progress, log).run()
    verify(sender, deployment)
    if manifest is not None:
        save(deployment, manifest)
    log.close()
    for remark in remarks(sender.w3, deployment, addresses):
        progress(remark)
    return deployment


def _open_log(manifest: Path | None, inputs: dict[str, str]) -> DeploymentLog:
    if manifest is None:
        return DeploymentLog(None, inputs)
    path = log_path(manifest)
    if manifest.exists() and not path.exists():
        raise ManifestError(
            f"There is a deployment already: {manifest}.",
            kept="Nothing was sent.",
            todo="Move it away to deploy another vault.",
        )
    return DeploymentLog(path, inputs)


def _inputs(sender: Sender, addresses: AddressBook, keys: Keys, parameters: Parameters) -> dict[str, str]:
    """A digest for each thing that decides what is sent."""
    code = [artifact(name).bytecode.hex() for name in (*CORE, *_VENUES)]
    inputs = {
        "deployer": sender.address,
        "addresses": asdict(addresses),
        "roles": asdict(keys),
        "parameters": asdict(parameters),
        "contracts": code,
    }
    return {name: "0x" + keccak(text=json.dumps(value, sort_keys=True)).hex() for name, value in inputs.items()}


class _Deployer:
    def __init__(
        self,
        sender: Sender,
        addresses: AddressBook,
        keys: Keys,
        parameters: Parameters,
        progress: Callable[[str], None],
        log: DeploymentLog,
    ) -> None:
        self.sender, self.book, self.keys, self.parameters, self.progress, self.log = (
            sender,
            addresses,
            keys,
            parameters,
            progress,
            log,
        )
        self.deployer = sender.address
        self.governor = keys.governor or sender.address
        self.contracts: dict[str, DeployedContract] = {}
        self.venues: list[DeployedVenue] = []

    @property
    def account(self) -> str:
        """The deployer."""
        return self.deployer

    def done(self, step: str) -> bool:
        """Whether a step has been come to."""
        return bool(self.log.sent(step))

    def do(self, step: str, call: Any) -> TxReceipt:
        """A step that is a call of another protocol's contract."""
        return self._once(step, step, lambda before: self.sender.send(call, step, before))

    def run(self) -> Deployment:
        p, book = self.parameters, self.book
        if book.own_pool is not None:
            for market in book.markets:
                make_pool(self.sender.w3, book, market, self)
                pool = to_checksum_address(market.pools[0])
                args = (book.uniswap_factory, book.usdc, market.token, book.own_pool.fee)
                self.contracts[f"UniswapV3Pool-{market.symbol}"] = DeployedContract(
                    pool, _code_hash(self.sender, pool), args
                )
        markets = [
            (m.feed, age, m.pools[0], _is_below(book.usdc, m.token), m.decimals)
            for m, age in zip(book.markets, p.max_price_age, strict=False)
        ]
        oracle = self._create(
            "PriceOracle", self.deployer, markets, book.usdc_feed, p.max_usdc_age, book.sequencer or _ZERO
        )
        vol_oracle = self._create("VolOracle", self.deployer, p.vol_bounds())
        pricer = self._create("OptionPricer", oracle, vol_oracle, len(book.markets), list(normal_table()))
        risk = self._create("RiskEngine", self.deployer, pricer, p.limits())
        vault = self._create("Vault", self.deployer, book.usdc, risk)
        listings = p.listings(len(book.markets))
        option_book = self._create(
            "OptionBook", self.deployer, vault, pricer, oracle, book.usdc, listings, p.vega_budgets()
        )
        clearing = self._create("ClearingHouse", option_book, vault, book.usdc, [m.token for m in book.markets])
        token = self._create("OptionToken", option_book, clearing, TOKEN_URI)
        queue = self._create("RedemptionQueue", vault, oracle, len(book.markets))
        hedger = self._create("Hedger", self.deployer, vault, option_book, risk, p.budgets())
        auction = self._create("BuybackAuction", vault, option_book, hedger, risk, pricer)
        self._call("OptionBook", "wire", token, clearing, hedger, auction)
        breaker = self._create("CircuitBreaker", self.deployer, vault, option_book, queue, p.thresholds())
        self._call("Vault", "wire", option_book, queue, hedger, auction, breaker)
        for underlying, market in enumerate(book.markets):
            self._list_venues(underlying, market)
        self._list_lending(vault)
        self._call("Vault", "set_fees", (self.governor, *p.fees()))
        for underlying, (market, vol) in enumerate(zip(book.markets, p.opening_vol, strict=False)):
            self._open_surface(underlying, market.symbol, vol)
        governance = self._create("Governance", self.governor, [self.keys.guardian])
        for contract, account, role in grants(self.keys, self.governor):
            self._call(contract, "grant_role", account, int(role))
        self._seed(vault)
        for contract in governed():
            self._call(contract, "hand_over", governance)
        return Deployment(
            chain_id=book.chain_id,
            block=self.sender.w3.eth.block_number,
            commit=_commit(),
            contracts=self.contracts,
            roles={
                name: to_checksum_address(account)
                for name, account in (asdict(self.keys) | {"governor": self.governor}).items()
            },
            venues=tuple(self.venues),
            feeds={
                "USDC": to_checksum_address(book.usdc_feed),
                **{market.symbol: to_checksum_address(market.feed) for market in book.markets},
            },
        )

    def _seed(self, vault: ChecksumAddress) -> None:
        """The first deposit, whose shares are nobody's."""
        amount = seed_of(self.parameters)
        if self.book.own_pool is not None:
            mint_usdc(self.sender.w3, self.book, amount, self)
        usdc = self.sender.w3.eth.contract(address=to_checksum_address(self.book.usdc), abi=ERC20_ABI)
        self.do("approval of the first deposit", usdc.functions.approve(vault, amount))
        contract = self.sender.w3.eth.contract(address=vault, abi=artifact("Vault").abi)
        self.do(_SEEDING, contract.functions.deposit(amount, NOBODY))

    def _open_surface(self, underlying: int, symbol: str, vol: float) -> None:
        """The first slice of an underlying, which only a governor may post: of the last expiry that can be sold."""

        def post(before: Callable[[Sent], None]) -> TxReceipt:
            now = self.sender.w3.eth.get_block("latest")["timestamp"]
            expiry = next_expiry(now + _LONGEST_TENOR - WEEK)
            oracle = self.sender.w3.eth.contract(
                address=self.contracts["VolOracle"].address, abi=artifact("VolOracle").abi
            )
            call = oracle.functions.post(underlying, expiry, *Smile().shape(vol, expiry - now))
            return self.sender.send(call, f"VolOracle.post({symbol})", before)

        self._once(f"VolOracle.post({symbol})", "VolOracle.post", post)

    def _list_venues(self, underlying: int, market: MarketAddresses) -> None:
        book = self.book
        vault = self.contracts["Vault"].address
        common = (vault, underlying, book.usdc, market.token, market.decimals, list(market.pools))
        spot, short, _ = _VENUES
        self._list(VenueKind.UNISWAP_V3_SPOT, underlying, spot, market.symbol, *common)
        collateral, debt = self._aave_tokens(market.token)
        aave = (book.aave_pool, book.aave_oracle, collateral, debt, *self.parameters.health())
        self._list(VenueKind.AAVE_V3_SHORT, underlying, short, market.symbol, *common, *aave)

    def _list_lending(self, vault: str) -> None:
        usdc = self.book.usdc
        collateral, _ = self._aave_tokens(usdc)
        self._list(VenueKind.AAVE_V3_LENDING, 0, _VENUES[-1], "", vault, usdc, self.book.aave_pool, collateral)
        self._call("Vault", "set_lending", len(self.venues) - 1)

    def _list(self, kind: VenueKind, underlying: int, contract: str, symbol: str, *args: Any) -> None:
        address = self._create(contract, *args, name=f"{contract}-{symbol}" if symbol else contract)
        self._call("Vault", "list_venue", address, underlying)
        self.venues.append(DeployedVenue(len(self.venues), kind, address, underlying))

    def _aave_tokens(self, token: str) -> tuple[str, str]:
        """The aToken of USDC and the variable debt token of ``token``."""
        provider = self.sender.w3.eth.contract(
            address=to_checksum_address(self.book.aave_data_provider), abi=_DATA_PROVIDER_ABI
        )
        collateral = provider.functions.getReserveTokensAddresses(self.book.usdc).call()[0]
        debt = provider.functions.getReserveTokensAddresses(token).call()[2]
        return collateral, debt

    def _create(self, contract: str, *args: Any, name: str | None = None) -> ChecksumAddress:
        name = name or contract
        compiled = artifact(contract)

        def create(before: Callable[[Sent], None]) -> TxReceipt:
            return self.sender.deploy(name, compiled.abi, compiled.bytecode, args, before)

        address = self._once(name, f"deploying {name}", create)["contractAddress"]
        if address is None:
            raise KeelError(f"deploying {name}: the receipt names no contract.")
        self.contracts[name] = DeployedContract(address, _code_hash(self.sender, address), _jsonable(args))
        return address

    def _call(self, contract: str, function: str, *args: Any) -> None:
        bound = self.sender.w3.eth.contract(address=self.contracts[contract].address, abi=artifact(contract).abi)
        action = f"{contract}.{function}"

        def call(before: Callable[[Sent], None]) -> TxReceipt:
            return self.sender.send(bound.functions[function](*args), action, before)

        self._once(f"{action}({', '.join(map(str, args))})", action, call)

    def _once(self, step: str, action: str, send: Callable[[Callable[[Sent], None]], TxReceipt]) -> TxReceipt:
        """Do a step, unless an earlier run has. ``step`` names it in the log, ``action`` to people."""
        earlier = self.log.sent(step)
        found = self.sender.find(earlier, action) if earlier else None
        if found is not None:
            return found
        self.progress(action)
        return send(lambda sent: self.log.add(step, sent))


def verify(sender: Sender, deployment: Deployment) -> None:
    """Check code, wiring, venues, roles and the first deposit of a deployment on chain.

    Raises:
        KeelError: names everything that differs.
    """
    w3 = sender.w3

    def read(contract: str, function: str, *args: Any) -> Any:
        bound = w3.eth.contract(address=deployment.contracts[contract].address, abi=artifact(contract).abi)
        return bound.functions[function](*args).call()

    address = {name: record.address for name, record in deployment.contracts.items()}
    wrong = [
        f"code of {name}"
        for name, record in deployment.contracts.items()
        if _code_hash(sender, record.address) != record.codehash
    ]
    wiring = [
        ("Vault", "option_book", "OptionBook"),
        ("Vault", "redemption_queue", "RedemptionQueue"),
        ("Vault", "hedger", "Hedger"),
        ("Vault", "auction", "BuybackAuction"),
        ("Vault", "breaker", "CircuitBreaker"),
        ("Vault", "RISK", "RiskEngine"),
        ("RiskEngine", "PRICER", "OptionPricer"),
        ("OptionPricer", "PRICE_ORACLE", "PriceOracle"),
        ("OptionPricer", "VOL_ORACLE", "VolOracle"),
        ("OptionBook", "VAULT", "Vault"),
        ("OptionBook", "PRICER", "OptionPricer"),
        ("OptionBook", "PRICE_ORACLE", "PriceOracle"),
        ("OptionBook", "token", "OptionToken"),
        ("OptionBook", "clearing_house", "ClearingHouse"),
        ("OptionBook", "hedger", "Hedger"),
        ("OptionBook", "auction", "BuybackAuction"),
        ("ClearingHouse", "BOOK", "OptionBook"),
        ("ClearingHouse", "VAULT", "Vault"),
        ("OptionToken", "OPTION_BOOK", "OptionBook"),
        ("OptionToken", "CLEARING_HOUSE", "ClearingHouse"),
        ("Hedger", "VAULT", "Vault"),
        ("Hedger", "OPTION_BOOK", "OptionBook"),
        ("Hedger", "RISK", "RiskEngine"),
        ("BuybackAuction", "VAULT", "Vault"),
        ("BuybackAuction", "OPTION_BOOK", "OptionBook"),
        ("BuybackAuction", "HEDGER", "Hedger"),
        ("BuybackAuction", "RISK", "RiskEngine"),
        ("BuybackAuction", "PRICER", "OptionPricer"),
        ("CircuitBreaker", "VAULT", "Vault"),
        ("CircuitBreaker", "OPTION_BOOK", "OptionBook"),
        ("CircuitBreaker", "QUEUE", "RedemptionQueue"),
        ("RedemptionQueue", "VAULT", "Vault"),
        ("RedemptionQueue", "PRICE_ORACLE", "PriceOracle"),
    ]
    wrong += [f"{who}.{field}" for who, field, whom in wiring if read(who, field) != address[whom]]
    listed = [(venue.address, venue.underlying) for venue in deployment.venues]
    if [tuple(entry) for entry in read("Vault", "all_venues")] != listed:
        wrong.append("Vault.all_venues")
    lending: list[str] = [venue.address for venue in deployment.venues if venue.kind is VenueKind.AAVE_V3_LENDING]
    if [read("Vault", "lending")] != [*lending, _ZERO][:1]:
        wrong.append("Vault.lending")
    wrong += wrong_roles(read, deployment, sender.address)
    wrong += missing_seed(read)
    if wrong:
        raise KeelError(
            f"The deployment is not what was asked for: {', '.join(wrong)}.",
            kept="The contracts stay where they are, without deposits.",
            todo="Do not use them: find out why, and deploy again.",
        )


_DATA_PROVIDER_ABI: list[dict[str, Any]] = [
    {
        "type": "function",
        "name": "getReserveTokensAddresses",
        "stateMutability": "view",
        "inputs": [{"name": "asset", "type": "address"}],
        "outputs": [
            {"name": "aTokenAddress", "type": "address"},
            {"name": "stableDebtTokenAddress", "type": "address"},
            {"name": "variableDebtTokenAddress", "type": "address"},
        ],
    }
]


def _is_below(first: str, second: str) -> bool:
    """Order of two tokens in a Uniswap pool."""
    return int(first, 16) < int(second, 16)


def _code_hash(sender: Sender, address: ChecksumAddress) -> str:
    return "0x" + keccak(bytes(sender.w3.eth.get_code(address))).hex()


def _jsonable(args: Any) -> Any:
    if isinstance(args, list | tuple):
        return tuple(_jsonable(arg) for arg in args)
    return args


def _commit() -> str:
    """Commit of the sources, empty outside a checkout."""
    shown = subprocess.run(["git", "rev-parse", "HEAD"], cwd=PROJECT, capture_output=True, text=True, check=False)
    return shown.stdout.strip()
