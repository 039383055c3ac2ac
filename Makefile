# make demo   set up .venv if needed, then answer one request with the embedded model
# make test   set up .venv if needed, then lint, type checks, import contracts and the tests
# make clean  remove .venv and what the tools leave behind

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test clean

demo: $(VENV)/.runs
	$(BIN)/ptgflow run recipe=decomp_mtp_edit report=always prompt="What are the benefits of learning a second language?"

test: $(VENV)/.tests
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/check
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/test

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ptgflow needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runs: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[edit]'
	@touch $@

$(VENV)/.tests: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev,edit,bench,grammar]'
	@touch $(VENV)/.runs $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
