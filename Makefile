# What to type in a fresh clone. Needs Python 3.11 or newer; everything else goes into .venv.
#
#   make demo      super-resolve the bundled image and print where its report lies
#   make test      style, types, layers and all tests; PYTEST_ARGS='-m "not slow"' leaves out those that train
#   make fiji      build the Fiji plugin: a jar for `superlens fiji`, and archives to unpack into Fiji or ImageJ. Needs Java and Maven
#   make quality   the benchmark suite behind docs/benchmarks (hours; goes on where it was stopped)

VENV ?= .venv
OUT ?= out/demo
PYTEST_ARGS ?=

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif

NEW_ENOUGH := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c "$(NEW_ENOUGH)" >/dev/null 2>&1 && { echo $$python; break; }; done)

PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet

.PHONY: demo test lint fiji quality dev clean

demo: $(VENV)/.demo
	$(BIN)/superlens demo --out $(OUT)

test: $(VENV)/.dev
	@$(MAKE) --no-print-directory lint
	fiji-plugin/test.sh $(abspath $(BIN))/python
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 2 --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fiji:
	@for tool in javac mvn; do command -v $$tool >/dev/null || { echo "There is no $$tool; the Fiji plugin needs Java 8 or newer and Maven to be built." >&2; exit 1; }; done
	mvn --batch-mode --quiet --no-transfer-progress -f fiji-plugin/pom.xml clean package -DskipTests
	$(PYTHON) fiji-plugin/pack.py

quality: $(VENV)/.dev
	$(BIN)/python tests/quality/zs2d.py
	$(BIN)/python tests/quality/zs3d.py
	$(BIN)/python tests/quality/smlm.py

dev: $(VENV)/.dev

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv and pip was found. Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.python pyproject.toml
	@echo "Installing superlens and TensorFlow into $(VENV): a few minutes, once."
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.python pyproject.toml
	@echo "Installing superlens, TensorFlow and the developers' tools into $(VENV): a few minutes, once."
	$(PIP) --editable ".[dev]"
	@touch $@ $(VENV)/.demo
