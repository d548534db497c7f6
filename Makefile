# The habits of the project. `make demo` and `make test` do everything on a fresh machine.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.PHONY: help install demo test test-gpu lint format types bench faults docs clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## make .venv with trimtab and its development tools

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "trimtab needs Python 3.11 to 3.13; say which with: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@# A rented image brings a torch that fits its driver: when $(PYTHON) has one with CUDA, the environment takes it over.
	@if $(PYTHON) -c 'import sys, torch; sys.exit(torch.version.cuda is None)' 2>/dev/null; then \
		echo "making $(VENV) on top of the torch that $(PYTHON) has"; \
		$(PYTHON) -m venv --system-site-packages $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'; \
	else \
		echo "making $(VENV) (a minute or two)"; \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'; \
	fi
	@touch $@

demo: install ## train the bundled model on the bundled data, then chat with it
	@$(BIN)/trimtab demo

test: install ## all tests that need no GPU
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 8 --dist worksteal

test-gpu: install ## the tests that need a CUDA GPU
	@$(BIN)/python -m pytest -q -m gpu

lint: install ## format check, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: install ## put the code into form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install ## measure against bare TRL; prints ratios
	@$(BIN)/python benchmarks/sft_against_trl.py

faults: install ## inject faults into real training processes
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/faults

docs: install ## write docs/parameters.md and the pictures of the screens
	@$(BIN)/python -m scripts.write_parameter_docs
	@$(BIN)/python -m scripts.take_pictures

clean: ## remove what was built here, runs excepted
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
