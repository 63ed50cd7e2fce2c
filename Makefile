# `make run` starts a server, `make try` shows one at work in a minute, `make test` runs every check and test. Each sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
WITH_NODE := sh scripts/with-node $(VENV)
NPM_CI := $(WITH_NODE) npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
# The dashboard as browsers get it: built here, not in the repository.
DASHBOARD := src/moonlatch/dashboard/built
DASHBOARD_SOURCES := src/moonlatch/dashboard/page
# More than there are cores, on small machines: half of the tests wait for something.
PYTEST_WORKERS ?= 4
# The tests start hundreds of processes, each of which would compile all of it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run try dev test setup setup-test test-page test-services dashboard screenshots lint types imports compiled tests faults bench nightly format lock sbom audit clean

run: setup
	exec $(BIN)/moonlatch serve --data ./data

# With a Lua to run the example in, which a server does not need.
try: setup $(VENV)/.installed-try
	exec $(BIN)/moonlatch try

# A service that may not write here would compile everything at each start.
setup: $(VENV)/.installed dashboard
	@$(BIN)/python -m compileall -q src
# Three that wait for three networks: packages of Python, of Node and of the system.
setup-test:
	@$(MAKE) --silent --no-print-directory --jobs 3 --output-sync=line $(VENV)/.installed-test test-page test-services
# One after the other: both may install what the page is built of.
test-page: node_modules/.installed
	@$(MAKE) --silent --no-print-directory dashboard
# After the environment, which may come from the system's packages as well.
test-services: | $(BIN)/python
	@sh scripts/install-test-services

$(BIN)/python:
	sh scripts/create-venv $(PYTHON) $(VENV)

$(VENV)/.installed: requirements/base.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the server needs (the first time takes a minute) ..."
	$(PIP_INSTALL) --require-hashes -r requirements/base.txt
	$(PIP_INSTALL) --require-hashes -r requirements/build.txt
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-try: requirements/try.txt $(VENV)/.installed
	$(PIP_INSTALL) --require-hashes -r requirements/try.txt
	@touch $@

$(VENV)/.installed-test: requirements/dev.txt $(VENV)/.installed
	@echo "Installing what the tests need ..."
	$(PIP_INSTALL) --no-compile --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.installed-audit: requirements/audit.txt $(VENV)/.installed-test
	$(PIP_INSTALL) --require-hashes -r requirements/audit.txt
	@touch $@

node_modules/.installed: package.json package-lock.json | $(BIN)/python
	$(NPM_CI)
	@touch node_modules/.installed-page $@

# What the tests need besides is not needed to build, and not thrown away where it is there already.
node_modules/.installed-page: package.json package-lock.json | $(BIN)/python
	@if [ -e node_modules/.installed ]; then $(MAKE) --no-print-directory node_modules/.installed; \
	else echo "Installing what the dashboard is built of ..." && $(NPM_CI) --omit=dev; fi
	@touch $@

dashboard: $(DASHBOARD)/page.html
$(DASHBOARD)/page.html: $(shell find $(DASHBOARD_SOURCES) -type f) node_modules/.installed-page
	@$(WITH_NODE) node $(DASHBOARD_SOURCES)/build.mjs $(DASHBOARD)

test: setup-test
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint types imports compiled
	$(MAKE) --no-print-directory tests

lint: setup-test
	$(BIN)/ruff check src tests bench scripts
	$(BIN)/ruff format --check src tests bench scripts

types: setup-test
	$(BIN)/mypy
	sh scripts/check-dashboard $(VENV)

imports: setup-test
	$(BIN)/lint-imports

# Once, and not by each of the processes that share the tests; what cannot be collected is theirs to tell.
compiled: setup-test
	@$(BIN)/python -m pytest --collect-only > /dev/null 2>&1 || true

tests: setup-test
	$(WITH_NODE) $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup

# Every page, in both themes and as narrow as a small telephone, in screenshots/: to be looked at.
screenshots: setup-test
	$(WITH_NODE) $(BIN)/python -m pytest tests/dashboard/test_looks.py --screenshots screenshots

# A server that starts again whenever a file of the program has changed; Ctrl-C ends both.
dev: setup-test
	exec $(BIN)/watchfiles --sigint-timeout 40 "$(BIN)/moonlatch serve --data ./data" src/moonlatch

# The long form of every test that has one; `make test` runs the short ones.
LONG_FORMS := $(shell grep -rlE '^from support.rounds import' tests --include='test_*.py')
faults: setup-test
	MOONLATCH_TEST_FAULTS=long $(BIN)/python -m pytest tests/faults tests/security $(LONG_FORMS) --durations=20

bench: setup-test
	$(BIN)/python bench/everything.py

# Thousands of generated programs under every profile, every target and every pass alone, then every script there is
# (a third of an hour, and a quarter, on two idle cores);
# SEED= repeats a night.
SEED ?= $(shell date +%Y%m%d)
nightly: setup-test
	PYTHONPATH=tests $(BIN)/python -m support.generated.differences --count 5000 --seed $(SEED)
	PYTHONPATH=tests $(BIN)/python -m support.every_script --seeds 10 --first $(SEED)

format: setup-test
	$(BIN)/ruff format src tests bench scripts
	$(BIN)/ruff check --fix src tests bench scripts

# Renews the locked versions; run it on Python 3.11, which the lock files are made for.
lock: setup-test
	cd requirements && for file in base build try node dev audit; do \
		CUSTOM_COMPILE_COMMAND="make lock" ../$(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
			--no-emit-trusted-host --allow-unsafe --strip-extras $$file.in --output-file $$file.txt || exit 1; done

# What a server is made of, as CycloneDX: from the lock file, so that it is the same wherever it is made.
SBOM ?= sbom.cdx.json
sbom: $(VENV)/.installed-audit
	@$(BIN)/cyclonedx-py requirements requirements/base.txt --index-url https://pypi.org/simple --pyproject pyproject.toml \
		--output-reproducible --output-file $(SBOM)
	@echo "$(SBOM)"

# Needs the network: who has none is told so, and that nothing is known.
audit: $(VENV)/.installed-audit
	@$(BIN)/python scripts/audit.py requirements/base.txt requirements/build.txt requirements/try.txt

clean:
	rm -rf $(VENV) node_modules $(DASHBOARD) screenshots .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
