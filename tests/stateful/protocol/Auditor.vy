# pragma version 0.4.3
"""
@title Auditor
@notice Reads what the identities of the ledger are about in one call, so that they can be checked after every transaction.
        It adds nothing up that a contract could have added up wrongly: sums are over accounts that the suite knows.
"""

from ethereum.ercs import IERC20
from contracts.interfaces import IRiskEngine
from contracts.interfaces import IVenue
from contracts.modules import series


struct Terms:
    recipient: address
    management: uint256
    performance: uint256


struct Accrual:
    owed: uint256
    accrued_at: uint256
    crystallised_at: uint256
    mark: uint256


interface Vault:
    def idle() -> uint256: view
    def owed() -> uint256: view
    def totalSupply() -> uint256: view
    def terms() -> Terms: view
    def accrual() -> Accrual: view
    def balanceOf(owner: address) -> uint256: view

interface Breaker:
    def high_water() -> uint256: view
    def latched() -> bool: view
    def accepts_new_risk() -> bool: view

interface Queue:
    def reserved() -> uint256: view
    def total_pending() -> uint256: view
    def due_since() -> uint256: view
    def pendingRedeemRequest(request_id: uint256, controller: address) -> uint256: view
    def maxRedeem(controller: address) -> uint256: view
    def maxWithdraw(controller: address) -> uint256: view

interface Book:
    def live_book() -> DynArray[uint256, 32]: view
    def written(id: uint256) -> (uint256, uint256): view

interface Clearing:
    def funded() -> uint256: view
    def escrow(token: address) -> uint256: view
    def settlement(id: uint256) -> (bool, uint256, uint256, uint256, uint256): view

interface Token:
    def total_supply(id: uint256) -> uint256: view
    def balanceOf(owner: address, id: uint256) -> uint256: view

interface Pricer:
    def marks(slot: uint256) -> (uint256, uint256, uint256, uint256, uint256, uint256): view


struct Approval:
    token: IERC20
    owner: address
    spender: address


# @notice The contracts' accounts. USDC has 6 decimals, shares and the rest are WAD.
# @param due_since    Since when shares of a closed epoch wait, zero when none do.
# @param accepts_risk Whether nothing is latched and nobody waits in the queue for too long.
struct Accounts:
    idle: uint256
    owed: uint256
    high_water: uint256
    funded: uint256
    escrow_usdc: uint256
    escrow_weth: uint256
    escrow_wbtc: uint256
    reserved: uint256
    supply: uint256
    pending: uint256
    approved: uint256
    due_since: uint256
    latched: bool
    accepts_risk: bool
    terms: Terms
    accrual: Accrual


# @notice A live series: position of the vault, units written by it and by makers, tokens in existence.
struct Series:
    id: uint256
    position: int256
    by_vault: uint256
    by_makers: uint256
    supply: uint256


# @notice A settled series: USDC per unit in WAD, tokens in existence.
struct Settled:
    id: uint256
    payout: uint256
    supply: uint256


struct Holder:
    shares: uint256
    pending: uint256
    claimable: uint256
    claimable_assets: uint256


# @notice All of it at one moment.
# @param balances    Of each contract in turn, what it holds of each token.
# @param is_known    Whether there is an assessment.
# @param value       Venues and options at mid, USDC in WAD; zero without an assessment.
# @param lent        What the lending venue has recorded.
struct Everything:
    accounts: Accounts
    balances: DynArray[uint256, 64]
    holders: DynArray[Holder, 16]
    series: DynArray[Series, 32]
    settled: DynArray[Settled, 64]
    is_known: bool
    assessment: IRiskEngine.Assessment
    value: int256
    lent: uint256


interface Lending:
    def supplied() -> uint256: view


VAULT: immutable(Vault)
BREAKER: immutable(Breaker)
QUEUE: immutable(Queue)
BOOK: immutable(Book)
CLEARING: immutable(Clearing)
TOKEN: immutable(Token)
PRICER: immutable(Pricer)
approvals: DynArray[Approval, 256]


@deploy
def __init__(
    vault: Vault,
    breaker: Breaker,
    queue: Queue,
    book: Book,
    clearing: Clearing,
    token: Token,
    pricer: Pricer,
    approvals: DynArray[Approval, 256],
):
    VAULT = vault
    BREAKER = breaker
    QUEUE = queue
    BOOK = book
    CLEARING = clearing
    TOKEN = token
    PRICER = pricer
    self.approvals = approvals


@external
@view
def everything(
    tokens: DynArray[IERC20, 4],
    contracts: DynArray[address, 16],
    owners: DynArray[address, 16],
    settled: DynArray[uint256, 64],
    venues: DynArray[IVenue, 8],
    underlyings: DynArray[uint256, 8],
    lending: Lending,
) -> Everything:
    """
    @param tokens USDC, WETH and WBTC.
    @param underlyings Of each venue.
    """
    seen: Everything = empty(Everything)
    seen.accounts = self._accounts(tokens)
    seen.balances = self._balances(tokens, contracts)
    seen.holders = self._holders(owners)
    seen.series = self._book()
    seen.settled = self._settled(settled)
    seen.lent = staticcall lending.supplied()
    response: Bytes[704] = b""
    seen.is_known, response = raw_call(
        VAULT.address, method_id("assessment()"), max_outsize=704, is_static_call=True, revert_on_failure=False
    )
    if seen.is_known:
        seen.assessment = abi_decode(response, IRiskEngine.Assessment)
        seen.value = self._value(venues, underlyings, seen.assessment.spot)
    return seen


@internal
@view
def _accounts(tokens: DynArray[IERC20, 4]) -> Accounts:
    approved: uint256 = 0
    for a: Approval in self.approvals:
        approved = max(approved, staticcall a.token.allowance(a.owner, a.spender))
    return Accounts(
        idle=staticcall VAULT.idle(),
        owed=staticcall VAULT.owed(),
        high_water=staticcall BREAKER.high_water(),
        funded=staticcall CLEARING.funded(),
        escrow_usdc=staticcall CLEARING.escrow(tokens[0].address),
        escrow_weth=staticcall CLEARING.escrow(tokens[1].address),
        escrow_wbtc=staticcall CLEARING.escrow(tokens[2].address),
        reserved=staticcall QUEUE.reserved(),
        supply=staticcall VAULT.totalSupply(),
        pending=staticcall QUEUE.total_pending(),
        approved=approved,
        due_since=staticcall QUEUE.due_since(),
        latched=staticcall BREAKER.latched(),
        accepts_risk=staticcall BREAKER.accepts_new_risk(),
        terms=staticcall VAULT.terms(),
        accrual=staticcall VAULT.accrual(),
    )


@internal
@view
def _balances(tokens: DynArray[IERC20, 4], owners: DynArray[address, 16]) -> DynArray[uint256, 64]:
    """
    @return Of each owner in turn, what it holds of each token.
    """
    found: DynArray[uint256, 64] = []
    for owner: address in owners:
        for token: IERC20 in tokens:
            found.append(staticcall token.balanceOf(owner))
    return found


@internal
@view
def _holders(owners: DynArray[address, 16]) -> DynArray[Holder, 16]:
    found: DynArray[Holder, 16] = []
    for owner: address in owners:
        found.append(
            Holder(
                shares=staticcall VAULT.balanceOf(owner),
                pending=staticcall QUEUE.pendingRedeemRequest(0, owner),
                claimable=staticcall QUEUE.maxRedeem(owner),
                claimable_assets=staticcall QUEUE.maxWithdraw(owner),
            )
        )
    return found


@internal
@view
def _book() -> DynArray[Series, 32]:
    found: DynArray[Series, 32] = []
    for slot: uint256 in staticcall BOOK.live_book():
        id: uint256 = series._id(slot)
        by_vault: uint256 = 0
        by_makers: uint256 = 0
        by_vault, by_makers = staticcall BOOK.written(id)
        found.append(
            Series(
                id=id,
                position=series._position(slot),
                by_vault=by_vault,
                by_makers=by_makers,
                supply=staticcall TOKEN.total_supply(id),
            )
        )
    return found


@internal
@view
def _settled(ids: DynArray[uint256, 64]) -> DynArray[Settled, 64]:
    found: DynArray[Settled, 64] = []
    for id: uint256 in ids:
        done: bool = False
        fixing: uint256 = 0
        payout: uint256 = 0
        round: uint256 = 0
        unfunded: uint256 = 0
        done, fixing, payout, round, unfunded = staticcall CLEARING.settlement(id)
        assert done, "not settled"
        found.append(Settled(id=id, payout=payout, supply=staticcall TOKEN.total_supply(id)))
    return found


@internal
@view
def _value(venues: DynArray[IVenue, 8], of: DynArray[uint256, 8], spots: uint256[2]) -> int256:
    """
    @return Equity of the venues at their spots and the positions in options at their mid marks, USDC in WAD.
    """
    value: int256 = 0
    for i: uint256 in range(len(venues), bound=8):
        spot: uint256 = spots[of[i]]
        # Without a price any will do for what has no exposure.
        value += (staticcall venues[i].state(spot if spot > 0 else 10**18)).equity
    for slot: uint256 in staticcall BOOK.live_book():
        position: int256 = series._position(slot)
        if position != 0:
            bid: uint256 = 0
            mid: uint256 = 0
            ask: uint256 = 0
            spot: uint256 = 0
            posted_at: uint256 = 0
            deviations: uint256 = 0
            bid, mid, ask, spot, posted_at, deviations = staticcall PRICER.marks(slot)
            value += position * convert(mid, int256) // 10**18
    return value
