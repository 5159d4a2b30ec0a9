# SPDX-License-Identifier: Apache-2.0
# `make demo` and `make test` do everything on a fresh machine; both set up first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# Used where it is installed; Verilator's own library is then compiled once, not for each simulation.
APT    := apt-get -qq -o Acquire::http::Timeout=20
CCACHE := command -v ccache >/dev/null || { $(APT) update && $(APT) install -y ccache; } >/dev/null 2>&1

.PHONY: demo test test-full lint format docs setup system clean bench
.DEFAULT_GOAL := help

help:
	@echo "make demo       set up, then: adiabit run recipes/digits.toml"
	@echo "make test       set up, then lint, types and tests"
	@echo "make test-full  the longer checks as well"
	@echo "make docs       the documentation as pages, in build/site"
	@echo "make lint | format | bench | clean"

demo: setup
	$(BIN)/adiabit run recipes/digits.toml

test: setup lint
	$(BIN)/pytest -n 2 --dist worksteal -m "not full"

test-full: setup lint
	$(BIN)/pytest -n 2 --dist worksteal

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: setup
	$(BIN)/python docs/site/keys.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q

setup: system $(VENV)/.done

# What Verilator needs from the system, and the tests of Tcl: told in one line, installed where we may.
system:
	@missing=""; \
	command -v g++ >/dev/null || missing="$$missing g++"; \
	command -v make >/dev/null || missing="$$missing make"; \
	perl -MFindBin -e 1 2>/dev/null || missing="$$missing perl"; \
	command -v tclsh >/dev/null || missing="$$missing tcl"; \
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -y -qq $$missing; \
	  else echo "missing:$$missing; install with: sudo apt-get install$$missing" >&2; exit 2; fi; \
	fi

$(VENV)/.done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "adiabit needs Python 3.11 or newer; try: make PYTHON=python3.11")'
	@$(CCACHE) || echo "ccache is not installed: each build by Verilator takes ten seconds longer"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[all,dev,docs,driver-tests]'
	@touch $@

bench: setup
	$(BIN)/python benchmarks/golden.py
	$(BIN)/python benchmarks/simulation.py
	$(BIN)/python benchmarks/estimate.py
	$(BIN)/python benchmarks/step.py

clean:
	rm -rf build $(VENV) src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
