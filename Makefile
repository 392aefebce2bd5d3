# make demo     the main job between a simulated PBX and a simulated Exchange (ARGS="--seconds 20 --json")
# make test     all tests, on all cores (ARGS="tests/core -x")
# make check    style, types, import contracts
# make bench    the figures of docs/performance.md (ARGS="--mailboxes 1000 --only cold_start,midnight --json FILE")
# make lock     new lock files after a change of dependencies in pyproject.toml
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip --quiet --disable-pip-version-check

.PHONY: demo test check bench lock clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/runs: requirements.lock | $(BIN)/python
	$(PIP) install --require-hashes -r requirements.lock
	touch $@

$(VENV)/tests: requirements-test.lock | $(BIN)/python
	$(PIP) install --require-hashes -r requirements-test.lock
	touch $@ $(VENV)/runs

demo: $(VENV)/runs
	@$(BIN)/python -m presenced demo $(ARGS)

test: $(VENV)/tests
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

check: $(VENV)/tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/tests
	@$(BIN)/python -m tests.bench $(ARGS)

lock: $(VENV)/tests
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --no-header --output-file requirements.lock pyproject.toml
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --no-header --allow-unsafe --extra test --constraint requirements.lock \
	    --output-file requirements-test.lock pyproject.toml

clean:
	rm -rf $(VENV) build dist
