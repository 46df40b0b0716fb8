# What to type in a fresh clone. Needs Python 3.11 or newer; everything else goes into .venv.
#
#   make demo      super-resolve the bundled image and print where its report lies
#   make test      style, types, layers and all tests; PYTEST_ARGS='-m "not slow"' leaves out those that train
#   make docs      the documentation as a site in build/site, built strictly: a broken link is an error
#   make release   build wheel and sdist, install each into a bare environment and use it there; lay out the Fiji update site
#   make fiji      build the Fiji plugin: a jar for `superlens fiji`, and archives to unpack into Fiji or ImageJ. Needs Java and Maven
#   make backends  the networks on PyTorch and JAX against TensorFlow, on the processor, in an environment of their own
#   make quality   the benchmark suite behind docs/benchmarks (hours; goes on where it was stopped)

VENV ?= .venv
OUT ?= out/demo
TORCH ?= torch --index-url https://download.pytorch.org/whl/cpu
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

.PHONY: demo test pytest lint plugin plugin-built plugin-tested docs release fiji backends quality dev clean

demo: $(VENV)/.demo
	$(BIN)/superlens demo --out $(OUT)

test: $(VENV)/.dev
	@$(MAKE) --no-print-directory plugin-built
	@$(MAKE) --no-print-directory --jobs 3 lint plugin-tested pytest

pytest: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 2 --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

plugin-built: $(VENV)/.dev
	fiji-plugin/test.sh build $(abspath $(BIN))/python

plugin-tested: $(VENV)/.dev
	fiji-plugin/test.sh run $(abspath $(BIN))/python

plugin:
	@$(MAKE) --no-print-directory plugin-built
	@$(MAKE) --no-print-directory plugin-tested

fiji:
	@for tool in javac mvn; do command -v $$tool >/dev/null || { echo "There is no $$tool; the Fiji plugin needs Java 8 or newer and Maven to be built." >&2; exit 1; }; done
	mvn --batch-mode --quiet --no-transfer-progress -f fiji-plugin/pom.xml clean package -DskipTests
	$(PYTHON) fiji-plugin/pack.py

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir build/site
	@echo "Open $(abspath build/site)/index.html"

release: $(VENV)/.python
	$(PIP) build
	rm -rf dist build/bare
	$(BIN)/python -m build --outdir dist
	@for kind in whl tar.gz; do \
		echo "Installing dist/*.$$kind into a bare environment"; \
		$(PYTHON) -m venv build/bare/$$kind && \
		PIP_DISABLE_PIP_VERSION_CHECK=1 build/bare/$$kind/bin/python -m pip install --quiet dist/*.$$kind && \
		(cd build/bare && $$kind/bin/superlens --version && $$kind/bin/superlens models && \
		$$kind/bin/superlens psf --na 1.3 --wavelength-nm 525 --pixel-nm 65 --out $$kind.tif) || exit 1; \
	done
	@if ls fiji-plugin/target/superlens-fiji-*.zip >/dev/null 2>&1; then \
		$(PYTHON) fiji-plugin/update_site.py fiji-plugin/target/superlens-fiji-*.zip build/update-site; \
	else echo "No Fiji archive; run \`make fiji\` first to lay out the update site."; fi

backends:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv and pip was found." >&2; exit 1; }
	$(PYTHON) -m venv build/backends
	PIP_DISABLE_PIP_VERSION_CHECK=1 build/backends/bin/python -m pip install --quiet $(TORCH)
	PIP_DISABLE_PIP_VERSION_CHECK=1 build/backends/bin/python -m pip install --quiet --editable . "jax[cpu]>=0.4.30,<1"
	build/backends/bin/python tests/quality/backends.py

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

$(VENV)/.docs: $(VENV)/.python pyproject.toml
	@echo "Installing superlens, TensorFlow and the tools of the documentation into $(VENV): a few minutes, once."
	$(PIP) --editable ".[docs]"
	@touch $@ $(VENV)/.demo

$(VENV)/.dev: $(VENV)/.python pyproject.toml
	@echo "Installing superlens, TensorFlow and the developers' tools into $(VENV): a few minutes, once."
	$(PIP) --editable ".[dev]"
	@touch $@ $(VENV)/.demo
