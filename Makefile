# Everything sets itself up: a machine with Python 3.11+ and make is enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= demo
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-machines lint audit sbom clean

demo: $(VENV)/.demo
	$(BIN)/zoo demo --out $(OUT)

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The tests that compute, once for each of several processors that this one can pass for: hours.
test-machines: $(VENV)/.test
	$(BIN)/python benchmarks/machines.py

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Known faults in the packages that are installed here, by the database of the Python Packaging Authority.
audit: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/python -m pip_audit --local --skip-editable

# What the package is made with, as CycloneDX JSON.
sbom: $(VENV)/.demo
	$(BIN)/python -P -m export.artifact.bill_of_materials -o bom.json

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) --version); Python 3.11 or newer is needed: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: setup.cfg | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[workstation]"
	touch $@

$(VENV)/.test: setup.cfg | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache demo
