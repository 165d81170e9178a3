# Every target first makes the environment in .venv. `make` alone runs the tests.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTHON_FILES := src tests workflow bench

.PHONY: demo tables test test-slow test-fuzz test-fuzz-all test-slurm fuzz fuzz-ci lint types readme conformance conformance-trained golden bench clean
.DEFAULT_GOAL := test

.venv/.installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' \
	    || { echo 'make: Python 3.11 or 3.12 is needed; for example, run make PYTHON=python3.12' >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install -c constraints.txt torch==2.13.0
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/.installed  ## the default study, from text to figures, and its savings; another one: make demo STUDY=demo-vit
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --cores all --rerun-incomplete --configfile config/$(or $(STUDY),demo).yaml
	@echo; $(BIN)/growbench show --config config/$(or $(STUDY),demo).yaml

tables: .venv/.installed  ## a study's tables, figures and pages from its records, without training: make tables STUDY=mini; or a ladder's
	$(BIN)/python workflow/tables.py config/$(or $(STUDY),demo).yaml

test: .venv/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal

test-slow: .venv/.installed  ## the tests that `make test` leaves out for their length
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m slow

test-fuzz: .venv/.installed  ## ends at every operation on files, and whole studies run again after each kind of change
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m 'fuzz and not long'

test-fuzz-all: .venv/.installed  ## and what CI leaves out: ends in a search, and whole studies after the other changes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m fuzz

test-slurm: .venv/.installed  ## on a real SLURM with one node and with two; as root, with slurm-wlm and munge
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -rs -m slurm

fuzz: .venv/.installed  ## broken and hostile input for every verb: make fuzz CASES=1000 SEED=1
	OMP_NUM_THREADS=1 PYTHONPATH=src:tests $(BIN)/python -m fuzz --cases $(or $(CASES),1000) --seed $(or $(SEED),0) --seconds 3600 --jobs 2

fuzz-ci: .venv/.installed  ## a fixed share of it, in minutes
	OMP_NUM_THREADS=1 PYTHONPATH=src:tests $(BIN)/python -m fuzz --cases 60 --seed 20261126 --seconds 15 --jobs 2

lint: .venv/.installed
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/ruff format --check $(PYTHON_FILES)
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

types: .venv/.installed
	$(BIN)/mypy

readme: .venv/.installed  ## the generated blocks of README.md
	$(BIN)/python workflow/readme.py

conformance: .venv/.installed  ## docs/CONFORMANCE.md
	OMP_NUM_THREADS=1 $(BIN)/python tests/conformance.py

conformance-trained: .venv/.installed  ## and its part on trained checkpoints: make conformance-trained CHECKPOINTS="DIR DIR"
	OMP_NUM_THREADS=1 $(BIN)/python tests/trained.py $(CHECKPOINTS)

golden: .venv/.installed  ## tests/golden/, after a version was raised
	OMP_NUM_THREADS=1 PYTHONPATH=src:tests $(BIN)/python -m golden

bench: .venv/.installed  ## docs/BENCHMARKS.md, on a quiet machine; GROWBENCH_DATA is the folder of real data
	for name in startup dag tokenize_text corpus pretrain causal finetune grow learned images seeds scale demo; do $(BIN)/python bench/$$name.py --out docs/BENCHMARKS.md || exit 1; done

clean:  ## remove what the demo made; other studies stay
	rm -rf results/demo figures/demo logs/demo benchmarks/demo
