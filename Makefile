# Everything sets itself up: a machine with Python 3.11+ and make is enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= demo
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-machines servers page screenshots lint types docs audit sbom clean

demo: $(VENV)/.demo
	$(BIN)/zoo demo --out $(OUT)

test: lint types servers
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Debian's programs that tests run against; without root or a sudo that asks for no password these tests are skipped.
servers:
	@PATH="$$PATH:/usr/sbin"; packages=""; \
	for pair in storescu:dcmtk dciodvfy:dicom3tools dcm2niix:dcm2niix Orthanc:orthanc chromium:chromium; do \
	  command -v $${pair%%:*} >/dev/null || packages="$$packages $${pair##*:}"; done; \
	[ -n "$$packages" ] || exit 0; \
	if ! command -v apt-get >/dev/null; then as=none; elif [ "$$(id -u)" = 0 ]; then as=env; \
	elif sudo -n true 2>/dev/null; then as="sudo -n env"; else as=none; fi; \
	[ "$$as" = none ] || { $$as apt-get update -qq && $$as DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends $$packages; } >/dev/null 2>&1 || as=none; \
	[ "$$as" != none ] || echo "tests that need$$packages are skipped; install by apt-get install$$packages"

# The page of zoo review, from TypeScript into review/static; needs Node 20 or newer. A test compares what is committed.
page:
	cd review/page && npm ci --ignore-scripts --no-audit --no-fund && npm run --silent check && npm run --silent build

# The pictures of the documentation, by the tests that look at the same pages.
screenshots: $(VENV)/.test servers
	MEDSEG_SCREENSHOTS=1 $(BIN)/python -m pytest tests/review/test_page.py

# The tests that compute, once for each of several processors that this one can pass for: some minutes each.
test-machines: $(VENV)/.test
	$(BIN)/python benchmarks/robustness/machines.py

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

# The site, into build/site; a broken link fails.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# Known faults in the packages that are installed here, by the database of the Python Packaging Authority.
audit: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/python -m pip freeze --local --exclude-editable > $(VENV)/audit.txt
	$(BIN)/python -m pip_audit --strict --no-deps --disable-pip -r $(VENV)/audit.txt

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
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "monailabel>=0.8.5,<0.9"
	touch $@ $(VENV)/.demo

$(VENV)/.docs: setup.cfg | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache demo
