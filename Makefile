# Everything runs in .venv, installed from pyproject.toml. A stamp in it says which extras are there;
# a change of pyproject.toml makes the stamps old.

VENV   := .venv
BIN    := $(VENV)/bin
# The first of these that is at least 3.11. Another one: make PYTHON=/path/to/python ...
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

# How many processes `make test` runs files of tests in: each has brokers of its own.
JOBS   ?= 2

# Installing compiles this.
COMPILED := $(wildcard pipeline/native/*.[ch])

MAKEFLAGS     += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help demo test check format bench rules metrics picture clean

help: ## show this
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */\1|/' | \
	    while IFS='|' read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done

demo: $(VENV)/.embedded ## broker, traffic and the flagship, with its views; INPUT=path feeds files, RATE=n sets the pace
	@exec $(BIN)/python -m demo $(if $(INPUT),--input "$(INPUT)") $(if $(RATE),--rate "$(RATE)")

test: $(VENV)/.test ## all tests, on the embedded broker and on Apache Kafka; ARGS='-k name' chooses
	@$(BIN)/python -m pytest -q --numprocesses $(JOBS) --dist loadfile $(ARGS)

check: $(VENV)/.dev ## formatting, lint, types, import layers, sizes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/unit/test_size.py

format: $(VENV)/.dev ## format the code, and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.test ## throughput side by side: pages and pictures in docs/benchmarks; ARGS='--table route' chooses
	@exec $(BIN)/python -m benchmarks $(ARGS)

rules: $(VENV)/.test ## docs/semantics.md: run every case of Kafka Streams' rules, and list them
	$(BIN)/python -m tests.semantics.page

metrics: $(VENV)/.test ## docs/metrics.md: list every metric
	$(BIN)/python -m tests.unit.metrics_page

picture: $(VENV)/.test ## docs/observability.svg, the flagship's graph; needs Graphviz
	$(BIN)/faust -A topologies.observability describe --format dot > docs/observability.dot
	dot -Tsvg docs/observability.dot -o docs/observability.svg

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo 'error: no Python 3.11 or newer on the PATH; make PYTHON=/path/to/python' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo 'error: no virtual environment (Debian and Ubuntu: apt install python3-venv)' >&2; exit 1; }

# Each set of extras holds the one before it.
$(VENV)/.embedded: pyproject.toml $(COMPILED) | $(BIN)/python
	$(BIN)/python -m pip install -q -e '.[embedded]'
	@touch $@

$(VENV)/.test: pyproject.toml $(COMPILED) | $(BIN)/python
	$(BIN)/python -m pip install -q -e '.[test]'
	@touch $(VENV)/.embedded $@

$(VENV)/.dev: pyproject.toml $(COMPILED) | $(BIN)/python
	$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $(VENV)/.embedded $(VENV)/.test $@
