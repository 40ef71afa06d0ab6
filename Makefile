# Potstill. `make demo` and `make test` are all that a fresh machine needs; `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
TWO_AT_A_TIME := --numprocesses=2 --dist=loadfile --no-loadscope-reorder
BIN := .venv/bin
EXTRA ?= cpu

# What pip knows of local wheels, uv is told; where pip knows none, uv takes the CPU build of torch from PyTorch itself.
FIND_LINKS := $(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null)
UV_INSTALL = $(if $(FIND_LINKS),UV_FIND_LINKS="$(FIND_LINKS)",UV_TORCH_BACKEND=$(if $(filter cpu,$(EXTRA)),cpu,auto)) $(BIN)/uv pip

.PHONY: help demo test test-fast chaos lint format bench lock sbom audit clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

.venv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "The venv module is missing; on Debian or Ubuntu: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet "uv>=0.9"

.venv/installed: .venv/bin/uv pyproject.toml requirements-$(EXTRA).lock
	$(UV_INSTALL) install --quiet --compile-bytecode -r requirements-$(EXTRA).lock
	$(BIN)/uv pip install --quiet --no-deps -e .
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	$(UV_INSTALL) install --quiet --compile-bytecode -r requirements-dev.lock
	@touch $@

demo: .venv/installed ## Install, then distill the quickstart: prompts to report
	$(BIN)/python -m flows.distill deployments/recipes/quickstart.yaml

test: .venv/installed-dev ## Install, then run all tests
	$(BIN)/python -m pytest $(TWO_AT_A_TIME)

test-fast: .venv/installed-dev ## Only the tests that need no engine, server or browser
	$(BIN)/python -m pytest -m "not slow"

N ?= 20
SEED ?= 0
chaos: .venv/installed-dev ## Kill runs, engines and machines at random, N=20 times in whole runs; half an hour
	CHAOS_KILLS=$(N) CHAOS_SEED=$(SEED) $(BIN)/python -m pytest -s tests/chaos

lint: .venv/installed-dev ## Style, import borders and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

format: .venv/installed-dev ## Format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/installed-dev ## Benchmarks, one JSON object a line
	@for file in tests/benchmarks/bench_*.py; do PYTHONPATH=. $(BIN)/python $$file || exit 1; done

COMPILE = compile --no-annotate --custom-compile-command "make lock" --quiet --python-version 3.11 pyproject.toml

lock: .venv/bin/uv ## Resolve the lock files anew; pins that still fit are kept
	$(UV_INSTALL) $(COMPILE) --extra cpu --extra demo -o requirements-cpu.lock
	$(UV_INSTALL) $(COMPILE) --extra cpu --extra demo --extra workers --extra crosscheck --group dev -o requirements-dev.lock
	$(BIN)/uv pip $(COMPILE) --extra cuda --extra demo -o requirements-cuda.lock
	$(BIN)/uv pip $(COMPILE) --extra train --extra demo -c requirements-cuda.lock -o requirements-student.lock
	$(BIN)/uv pip $(COMPILE) --extra workers --extra demo -c requirements-cuda.lock -o requirements-orchestrator.lock

sbom: .venv/installed ## List what is installed, as CycloneDX in sbom.json
	$(BIN)/uv tool run --from cyclonedx-bom==7.5.0 cyclonedx-py environment .venv --pyproject pyproject.toml --output-reproducible --output-file sbom.json

audit: .venv/bin/uv ## Compare the locks with the public database of vulnerabilities
	@for lock in requirements-*.lock; do \
	    $(BIN)/uv tool run pip-audit==2.10.1 --strict --no-deps --disable-pip --progress-spinner off -r $$lock || exit 1; done

clean: ## Remove the environment; artefacts are kept
	rm -rf .venv
