"""What keeps a keeper from hedging until somebody acts: that must be told, and nothing is sent meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from web3.exceptions import ContractLogicError

from keeper.domain.safety import KillLevels
from tests.faults.rig import Faults
from tests.faults.storm import Storm

_PATIENCE = 30  # blocks, a minute apart, until it is told
_STILL = 3  # blocks in which nothing may be sent
_ENOUGH = 10**20  # wei


@dataclass(frozen=True)
class Halt:
    """``keys`` are conditions: people are told one of them. ``blocks`` of the storm come after it has struck."""

    keys: tuple[str, ...]
    strike: Callable[[Storm], None]
    mend: Callable[[Storm], None]
    blocks: int = 0


def come_to_a_halt(play: Storm, halt: Halt) -> None:
    """Until people are told and delta is outside its band; then nothing is sent before somebody mends it."""
    halt.strike(play)
    play.rage(halt.blocks)
    for node in play.nodes:
        node.faults = Faults()
    for _ in range(_PATIENCE):
        if _is_hedged(play):
            play.market_jumps()
        play.calm(seconds=60)
        play.tick()
        told = [key for key in halt.keys if key in play.halts()]
        if told and not _is_hedged(play):
            break
    else:
        wanted = " or ".join(halt.keys)
        raise AssertionError(f"nobody was told of {wanted}, but of {play.halts()}; hedged: {_is_hedged(play)}")
    sent, used = set(play.chain.seen), play.used_nonces()
    for _ in range(_STILL):
        play.calm()
        play.tick()
    assert (set(play.chain.seen), play.used_nonces()) == (sent, used)
    assert not _is_hedged(play)
    play.fired[f"halted and told: {told[0]}"] += 1
    halt.mend(play)


def _is_hedged(play: Storm) -> bool:
    """False where nobody can tell."""
    try:
        return play.is_hedged()
    except ContractLogicError:
        return False


def _balance_becomes(play: Storm, wei: int) -> None:
    play.first_balance += wei - play.balance()
    play.chain.rpc.call("anvil_setBalance", play.vault.keeper.address, hex(wei))


def _use_up_the_ether(play: Storm) -> None:
    play.levels = KillLevels(max_gas_a_day=float("inf"))  # else the kill switch is first
    play.restart()
    _balance_becomes(play, 10**14)


def _send_ether(play: Storm) -> None:
    _balance_becomes(play, _ENOUGH)


def _allow_no_more_gas(play: Storm) -> None:
    play.levels = KillLevels(max_gas_a_day=1e-6)
    play.restart()


def _allow_gas_again(play: Storm) -> None:
    play.levels = KillLevels()
    play.orders.lift("it was a storm")
    play.restart()


def _silence_the_feeds(play: Storm) -> None:
    play.is_silent = True
    play.chain.mine(seconds=7_200)  # more than a round may be old


def _let_the_feeds_speak(play: Storm) -> None:
    play.is_silent = False


HALTS: Final = (
    # What was open when the ether ended cannot be replaced: the keeper waits for it, and says that.
    Halt(("missed-hedge", "stuck-transaction"), _use_up_the_ether, _send_ether),
    Halt(("kill-switch-gas",), _allow_no_more_gas, _allow_gas_again, blocks=6),
    Halt(("unreadable",), _silence_the_feeds, _let_the_feeds_speak),
)


def halt_of(seed: int) -> Halt | None:
    """What the storm of every sixth seed ends in."""
    return HALTS[seed // 6 % len(HALTS)] if seed % 6 == 5 else None
