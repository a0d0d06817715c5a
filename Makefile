# Needs Python >= 3.11 and make; everything else goes into $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench docs docs-serve soak schemas cassettes clean

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(VENV)/.core: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit("unitape needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	@echo "preparing $(VENV) …"
	@$(PIP) --upgrade "pip>=25.1"
	@$(PIP) --editable .
	@touch $@

# The extra `fast` is wanted for tests and benchmarks of its transport, yet nothing fails without it.
$(VENV)/.fast: $(VENV)/.core
	@$(PIP) --editable ".[fast]" || echo "the extra 'fast' is not available here; its tests will be skipped"
	@touch $@

$(VENV)/.data: $(VENV)/.core
	@$(PIP) --group data || echo "duckdb, polars, pyarrow and prometheus-client are not available here; their tests will be skipped"
	@touch $@

$(VENV)/.test: $(VENV)/.core $(VENV)/.fast $(VENV)/.data
	@$(PIP) --group test
	@touch $@

$(VENV)/.lint: $(VENV)/.test
	@$(PIP) --group lint
	@touch $@

$(VENV)/.docs: $(VENV)/.core
	@$(PIP) --group docs
	@touch $@

demo: $(VENV)/.core ## the main job, offline: live feeds, books and the terminal
	@$(BIN)/unitape demo

test: $(VENV)/.test ## every test
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.lint ## ruff, mypy, pyright and the layer contract
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/lint-imports

format: $(VENV)/.lint ## write the code in its one format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(VENV)/.test ## ratios against the floor
	@$(BIN)/python -m bench $(BENCH_ARGS)

docs: $(VENV)/.docs ## build the documentation, warnings are errors
	@$(BIN)/mkdocs build --strict --quiet --site-dir site
	@echo "open site/index.html"

docs-serve: $(VENV)/.docs ## the documentation on a local port
	@$(BIN)/mkdocs serve

soak: $(VENV)/.test ## thousands of fault seeds; takes an hour
	@UNITAPE_SEEDS=5000 UNITAPE_FATE_SEEDS=3000 $(BIN)/python -m pytest -m "" -n auto tests/conformance tests/sim \
		tests/views tests/arbitrage tests/trade/test_soak.py $(PYTEST_ARGS)

schemas: $(VENV)/.core ## write schemas/json again
	@$(BIN)/python tools/make_schemas.py

cassettes: $(VENV)/.test ## write the shipped cassettes again
	@$(BIN)/python tools/make_cassettes.py
	@$(BIN)/python tools/make_trading_cassettes.py

clean: ## remove what was built
	@rm -rf $(VENV) site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
