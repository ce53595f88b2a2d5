# Set-up and the jobs that are typed most. Everything runs in .venv, made on first use.
PYTHON ?= python3
VENV   := .venv
STAMP  := $(VENV)/.installed
RUN    := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## make the environment in .venv

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "facetell needs Python 3.11 or newer; choose one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --requirement requirements.lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

.PHONY: repro
repro: $(STAMP) ## set everything up and rebuild all results (dvc repro)
	$(RUN) dvc repro

.PHONY: test
test: lint ## set everything up, lint, and pass the tests
	$(RUN) pytest

.PHONY: lint
lint: $(STAMP) ## style and types
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

.PHONY: params
params: $(STAMP) ## compose conf/ into params.yaml (dvc repro does not)
	$(RUN) python -m pipeline.compose

.PHONY: clean
clean: ## remove the environment and caches of tools, never data or results
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache src/*.egg-info
