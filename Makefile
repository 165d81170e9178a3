# The two commands of the README. Both set everything up for themselves.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1

.PHONY: demo test lint types
.DEFAULT_GOAL := test

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

test: .venv/.installed
	$(BIN)/python -m pytest -q -n 2

lint: .venv/.installed
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests

types: .venv/.installed
	$(BIN)/mypy
