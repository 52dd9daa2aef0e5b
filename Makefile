# Everything runs in a virtual environment of the checkout, made on first use and kept up to date with pyproject.toml.
# Another interpreter takes another environment: make test PYTHON=python3.12 VENV=.venv-3.12

PYTHON ?= python3
VENV ?= .venv
# Further arguments of the command that a target runs: make test ARGS="-v -k associate"
ARGS ?=

PY := $(VENV)/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test bench soak lint docs dist clean check-python

help:
	@echo "make demo    install the library and run samples/demo.py"
	@echo "make test    run the tests (ARGS=\"-v -k NAME\" to choose)"
	@echo "make lint    ruff and mypy --strict"
	@echo "make bench   measure beside the peers that are installed (ARGS=\"--quick\", \"--list\", \"--help\")"
	@echo "make soak    faulty and hostile traffic against the server for minutes (ARGS=\"--minutes 10\", \"--help\")"
	@echo "make docs    build the documentation into site/"
	@echo "make dist    build the wheel and the source archive into dist/"
	@echo "make clean   remove what these made, the environments .venv* included"
	@echo "PYTHON=python3.12 VENV=.venv-3.12 choose the interpreter (3.11 or newer) and the environment"

demo: $(VENV)/.ready-core
	@$(PY) samples/demo.py $(ARGS)

test: $(VENV)/.ready-test
	@$(PY) -m unittest discover -s tests -t . $(ARGS)

lint: $(VENV)/.ready-dev
	@$(PY) -m ruff check . $(ARGS)
	@$(PY) -m mypy --strict

bench: $(VENV)/.ready-benchmarks
	@$(PY) -m benchmarks $(ARGS)

soak: $(VENV)/.ready-benchmarks
	@$(PY) -m benchmarks.soak $(ARGS)

docs: $(VENV)/.ready-docs
	@$(PY) -m mkdocs build --quiet --strict $(ARGS)
	@echo "site/index.html is ready."

dist: $(VENV)/.ready-dev
	@rm -rf build dist
	@$(PY) -m build $(ARGS)

clean:
	@rm -rf .venv .venv-* build dist site *.egg-info .coverage htmlcov .hypothesis .mypy_cache .ruff_cache
	@find . -name node_modules -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp for each extra of pyproject.toml; "core" is the library alone. check-python runs every time, and being
# order-only it makes nothing older.
$(VENV)/.ready-%: pyproject.toml | check-python
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) could not make a virtual environment (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "Installing ldicomnet ($*) into $(VENV) ..."
	@$(PY) -m pip install -qq --editable '.$(if $(filter-out core,$*),[$*])'
	@touch $@

# Written in what Python 2 understands too, so that it answers with this line and not with a syntax error.
check-python:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "No $(PYTHON) here: ldicomnet needs Python 3.11 or newer (make PYTHON=/path/to/python3.12)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("$(PYTHON) is Python %d.%d: ldicomnet needs 3.11 or newer (make PYTHON=/path/to/python3.12)." % sys.version_info[:2])'
	@test ! -x $(PY) || test "$$($(PY) -c 'import sys; print(sys.version_info[:2])')" = \
	  "$$($(PYTHON) -c 'import sys; print(sys.version_info[:2])')" || \
	  { echo "$(VENV) was made with another Python than $(PYTHON): name another one (VENV=.venv-3.12) or make clean." >&2; exit 1; }
