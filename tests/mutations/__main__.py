"""`make mutants`: take each guard out of its contract once, and see the test fail that the guard's list names.

A guard is removed in a copy of the project; the sources here stay as they are. What the test said is written into the
guard's list; docs/security.md is made from the lists by a full run, or by --document.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# A dependency installs a package called `tests`; ours has none of the __init__.py that would go before it.
_TESTS = types.ModuleType("tests")
_TESTS.__path__ = [str(Path(__file__).resolve().parents[1])]
sys.modules["tests"] = _TESTS
sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.mutations import document, guards  # noqa: E402

_COPIED = ("contracts", "keeper", "tests", "pyproject.toml", "parameters.toml", "keel.toml.example")
_LINKED = (".venv", "node_modules", ".cache", ".build")
_TIMEOUT = 3_600  # seconds for one guard, or for all tests with their guards
_FAILED = re.compile(r"^FAILED (.+?)(?: - (.*))?$", re.MULTILINE)
_REASON = re.compile(r"CallFailed\('(.*)'\)")
_TESTS_FAILED = 1  # pytest's exit code


def failing(tests: set[str]) -> str:
    """What is wrong with the tests while every guard is in its place: a test that fails anyway would prove nothing."""
    done = _pytest(None, sorted(tests))
    return "" if done.returncode == 0 else done.stdout[-4_000:] + done.stderr[-2_000:]


def try_without(guard: guards.Guard) -> tuple[bool, str]:
    """Whether the guard's test fails once it is removed, and what was said."""
    problem = guard.problem()
    if problem is not None:
        return False, problem
    done = _pytest(guard, [guard.test])
    found = _FAILED.search(done.stdout)
    if done.returncode == _TESTS_FAILED and found is not None:
        reason = _REASON.search(done.stdout)
        said = found.group(2) or "failed"
        return True, f"reverted: {reason.group(1)}" if said.endswith("BoaError:") and reason else _in_short(said)
    return False, "the test passes without it" if done.returncode == 0 else done.stdout[-2_000:] + done.stderr[-2_000:]


def _pytest(without: guards.Guard | None, tests: list[str]) -> subprocess.CompletedProcess[str]:
    """Run tests in a copy of the project from which a guard has been taken out."""
    with tempfile.TemporaryDirectory(prefix="keel_mutant_") as folder:
        copy = Path(folder)
        for name in _COPIED:
            source = guards.PROJECT / name
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, copy / name, ignore=ignored) if source.is_dir() else shutil.copy(source, copy)
        for name in _LINKED:
            (copy / name).symlink_to((guards.PROJECT / name).resolve())
        if without is not None:
            (copy / "contracts" / without.contract).write_text(without.mutated())
        options = ["-p", "no:ape_test", "-p", "no:cacheprovider", "-q", "-x", "--tb=short", "-rf"]
        return subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "400", "KEEL_MUTANT": "1"},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        )


def _in_short(message: str) -> str:
    """The first line of a failure, without what differs from run to run."""
    text = re.sub(r"0x[0-9a-fA-F]{6,}", "0x...", message.split("\\n")[0].split("...", 1)[0]).strip()
    return re.sub(r"\s+", " ", text)[:160]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("only", nargs="*", help="lists (vault) or rows (A2, 35); all when none is named")
    parser.add_argument("--new", action="store_true", help="only guards of which nothing was recorded yet")
    parser.add_argument("--document", action="store_true", help="run nothing, write docs/security.md from the lists")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    chosen = [
        (name, guard)
        for name in guards.lists()
        for guard in guards.read(name)
        if not arguments.only or {name, *guard.rows} & set(arguments.only)
        if not (arguments.new and guard.said)
    ]
    missed = 0
    if chosen and not arguments.document:
        problem = failing({guard.test for _, guard in chosen if guard.problem() is None})
        if problem:
            print(f"{problem}\nA test fails with every guard in its place.")
            return 1
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for (name, guard), (caught, said) in zip(
                chosen, pool.map(lambda each: try_without(each[1]), chosen), strict=True
            ):
                missed += not caught
                print(f"{'caught' if caught else 'MISSED'}  {', '.join(guard.rows):8} {guard.contract}: {guard.text}")
                print(f"        {guard.test.rpartition('::')[2]}: {said}", flush=True)
                if caught:
                    guards.record(name, guard, said)
        print(f"{len(chosen) - missed} of {len(chosen)} removed guards made their test fail")
    if arguments.document or not (arguments.only or arguments.new):
        document.write()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
