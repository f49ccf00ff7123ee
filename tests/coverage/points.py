"""Where a trap shows that a statement has run or that a branch has gone one way.

titanoboa's plugin for coverage.py cannot tell: it credits each instruction with every line of its syntax node and
does not see which instruction came after which, so its branches are pairs of consecutive lines, and no tests would
bring them all. The byte code can. Each `if`, conditional expression and `assert` of Vyper compiles to one JUMPI, and
each way out of it can be made to halt without moving a byte or changing what the other way costs. A statement that
the source map has no instruction for (`x = y`, an empty variable) is not counted: it stands among others, or after a
way that is.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, NamedTuple

from vyper import ast as vy_ast

_JUMPI, _JUMPDEST, _INVALID, _REVERT = 0x57, 0x5B, 0xFE, 0xFD
_PUSH0, _PUSH1, _PUSH2, _PUSH32 = 0x5F, 0x60, 0x61, 0x7F
_ENDS = {0x00, 0x56, 0x57, 0xF3, 0xFD, 0xFE, 0xFF}  # STOP, JUMP, JUMPI, RETURN, REVERT, INVALID, SELFDESTRUCT
_BRANCHES = (vy_ast.If, vy_ast.IfExp, vy_ast.Assert)
_LEAVES = (vy_ast.Continue, vy_ast.Break)
_FOLDER = "/contracts/"
_CERTAIN = 100  # against 1 for a variable: the source map gives its every use the place of one of them


class Fact(NamedTuple):
    """Something that tests can reach: `what` is "runs", or which way a condition went, "true" or "false"."""

    file: str
    line: int
    column: int
    what: str


@dataclass(frozen=True)
class Point:
    """A few bytes that make an EVM halt where it would establish these facts."""

    offset: int
    trap: bytes
    facts: frozenset[Fact]


class _Instruction(NamedTuple):
    pc: int
    opcode: int
    pushed: bytes


def trapped(code: bytes, points: list[Point]) -> bytes:
    """The code with these traps set; what follows it (immutables, a constructor's arguments) stays."""
    changed = bytearray(code)
    for point in points:
        changed[point.offset : point.offset + len(point.trap)] = point.trap
    return bytes(changed)


def points_of(code: bytes, nodes: dict[int, Any]) -> list[Point]:
    """The points of a byte code by its source map from program counters to syntax nodes, in the order of the code."""
    instructions = _disassembled(code)
    leaders = [0] if instructions else []
    for before, instruction in pairwise(instructions):
        if instruction.opcode == _JUMPDEST or before.opcode == _JUMPI:
            leaders.append(instruction.pc)
    facts: dict[tuple[int, bytes], set[Fact]] = {}
    seen: set[Fact] = set()
    jumps = _leaving(instructions, nodes)
    for number, instruction in enumerate(instructions):
        node = nodes.get(instruction.pc) or jumps.get(number)
        file = None if node is None else _file(node)
        if node is None or file is None:
            continue
        statement = None if isinstance(node, (vy_ast.Name, *_LEAVES)) else _statement(node)
        if statement is not None and statement.lineno is not None:  # not a return that the compiler has added
            runs = Fact(file, statement.lineno, statement.col_offset, "runs")
            if runs not in seen:  # the first instruction of a statement: its block is where it begins
                seen.add(runs)
                leader = leaders[bisect.bisect_right(leaders, instruction.pc) - 1]
                facts.setdefault((leader, bytes([_INVALID])), set()).add(runs)
        if instruction.opcode == _JUMPI and isinstance(node, _BRANCHES):
            for trap, what in _ways(instructions, number, node, nodes):
                facts.setdefault(trap, set()).add(Fact(file, node.lineno, node.col_offset, what))
    return [Point(offset, trap, frozenset(found)) for (offset, trap), found in sorted(facts.items())]


def _disassembled(code: bytes) -> list[_Instruction]:
    instructions, pc = [], 0
    while pc < len(code):
        size = code[pc] - _PUSH0 if _PUSH1 <= code[pc] <= _PUSH32 else 0
        instructions.append(_Instruction(pc, code[pc], code[pc + 1 : pc + 1 + size]))
        pc += 1 + size
    return instructions


def _file(node: Any) -> str | None:
    """The path of the node's source below contracts/, or None for what is not ours."""
    path = str(node.module_node.resolved_path)
    before, found, below = path.rpartition(_FOLDER)
    return below if found and not before.endswith("/tests") else None


def _statement(node: Any) -> Any:
    """The statement that the node is or belongs to; an `if` or a `for` without its body. None outside functions."""
    while node is not None:
        parent = getattr(node, "_parent", None)
        if isinstance(parent, (vy_ast.FunctionDef, vy_ast.If, vy_ast.For)):
            block = [*parent.body, *(getattr(parent, "orelse", None) or [])]
            if any(node is statement for statement in block):
                return node
        node = parent
    return None


def _leaving(instructions: list[_Instruction], nodes: dict[int, Any]) -> dict[int, Any]:
    """Each `if` whose body does nothing but leave, by the number of its JUMPI: the compiler jumps straight to where the
    body would have jumped, by an instruction of which it forgets the node."""
    known = {id(nodes.get(instruction.pc)) for instruction in instructions if instruction.opcode == _JUMPI}
    found: dict[int, int] = {}
    ifs: dict[int, Any] = {}
    for number, instruction in enumerate(instructions):
        if instruction.opcode != _JUMPI or instruction.pc in nodes:
            continue
        before = [nodes[item.pc] for item in instructions[max(number - 3, 0) : number] if item.pc in nodes]
        condition = _condition(before[-1]) if before else None
        if condition is not None and id(condition) not in known and _only_leaves(condition):
            found[id(condition)], ifs[id(condition)] = number, condition  # the last: before it are checks of the test
    return {number: ifs[key] for key, number in found.items()}


def _condition(node: Any) -> Any:
    """The `if` of whose test the node is a part, or whose body it leaves. None of others."""
    statement = _statement(node)
    if isinstance(statement, _LEAVES):
        statement = statement._parent
    return statement if isinstance(statement, vy_ast.If) else None


def _only_leaves(condition: Any) -> bool:
    first = condition.body[0]
    return isinstance(first, _LEAVES) or (isinstance(first, vy_ast.Return) and first.value is None)


def _ways(
    instructions: list[_Instruction], number: int, node: Any, nodes: dict[int, Any]
) -> list[tuple[tuple[int, bytes], str]]:
    """The traps of a condition's JUMPI and which way each stops: falling through, or jumping.

    Where the next instruction is itself a target of jumps, a trap there would see those too: that way has none.
    """
    jump, push, after = instructions[number], instructions[number - 1], instructions[number + 1]
    places = {instruction.pc: place for place, instruction in enumerate(instructions)}
    aside = places[int.from_bytes(push.pushed, "big")]
    if jump.pc in nodes:
        falls, jumps = _likeness(instructions, number + 1, node, nodes), _likeness(instructions, aside, node, nodes)
    else:
        falls, jumps = 0, 1  # see _leaving
    if push.opcode != _PUSH2 or falls == jumps:
        raise ValueError(f"{_file(node)}:{node.lineno}: which way does the JUMPI at {jump.pc} go when it holds?")
    nowhere = _elsewhere(push.pushed, {item.pc for item in instructions if item.opcode == _JUMPDEST})
    ways = [((push.pc + 1, nowhere), "true" if jumps > falls else "false")]
    if after.opcode != _JUMPDEST:
        ways.append(((after.pc, bytes([_INVALID])), "true" if falls > jumps else "false"))
    return ways


def _elsewhere(target: bytes, taken: set[int]) -> bytes:
    """A target that no jump may have, with zero bytes where this one has them: they cost less in a creation."""
    above, below = (range(0xFF, 0, -1) if byte else (0,) for byte in target)
    for high, low in product(above, below):
        if high << 8 | low not in taken:
            return bytes([high, low])
    raise ValueError("every target is taken")


def _likeness(instructions: list[_Instruction], place: int, node: Any, nodes: dict[int, Any]) -> int:
    """How much the straight code from there looks like what follows when the condition holds."""
    if isinstance(node, vy_ast.Assert):
        follows, sign = [node.msg] if node.msg is not None else [], -1
    else:
        follows, sign = node.body if isinstance(node, vy_ast.If) else [node.body], 1
    score = 0
    for number, instruction in enumerate(instructions[place:]):
        if number and instruction.opcode == _JUMPDEST:
            break
        there = nodes.get(instruction.pc)
        if there is not None and there is not node:
            weight = 1 if isinstance(there, vy_ast.Name) else _CERTAIN
            score += weight * sign if any(_holds(outer, there) for outer in follows) else -weight * sign
        if sign < 0 and instruction.opcode == _REVERT:
            return -_CERTAIN * len(instructions)
        if instruction.opcode in _ENDS:
            break
    return score


def _holds(outer: Any, node: Any) -> bool:
    """Whether a node is within another."""
    begins, ends = (outer.lineno, outer.col_offset), (outer.end_lineno, outer.end_col_offset)
    return outer.module_node is node.module_node and begins <= (node.lineno, node.col_offset) < ends
