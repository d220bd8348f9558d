# `make demo` and `make test` are all a fresh machine needs; everything else builds on the same
# virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

LAB := labextension
LINK := $(VENV)/share/jupyter/labextensions/pgcellar-labextension

.PHONY: demo test prometheus chromium extension wheel soak lab bench check format clean

# pip writes into what is linked there, and removes it with the version before.
INSTALL := rm -rf $(LINK) && $(BIN)/pip install --quiet --editable

$(VENV)/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("pgcellar needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(INSTALL) .
	touch $@

$(VENV)/ready-test: $(VENV)/ready
	$(INSTALL) '.[test]'
	touch $@

notebooks/data/flights.csv: $(VENV)/ready
	$(BIN)/python notebooks/prepare_data.py

demo: $(VENV)/ready notebooks/data/flights.csv
	$(BIN)/pgcellar demo

# Prometheus for the tests, from Debian's package, unpacked: nothing is installed or started, and
# root is not needed. Where there is no apt, those tests are skipped and say so.
prometheus: $(VENV)/ready
	@test -x $(VENV)/prometheus/usr/bin/prometheus || command -v prometheus > /dev/null || ( \
	  mkdir -p $(VENV)/prometheus && cd $(VENV)/prometheus && \
	  { test "$$(id -u)" != 0 || apt-get update -qq; } && \
	  apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb \
	) || echo "Prometheus can't be had here: its tests will be skipped."

# The JupyterLab extension, linked into the virtual environment. It needs Node; where there is none,
# its tests are skipped, and JupyterLab shows notebooks without it.
extension: $(VENV)/ready
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory $(LAB)/built/package.json; \
	else echo "There is no Node: the JupyterLab extension is left out."; fi
	@mkdir -p $(dir $(LINK)) && rm -rf $(LINK) && ln -s $(CURDIR)/$(LAB)/built $(LINK)

$(LAB)/node_modules/ready: $(LAB)/package.json $(LAB)/package-lock.json
	cd $(LAB) && npm ci --silent --ignore-scripts
	touch $@

$(LAB)/built/package.json: $(LAB)/node_modules/ready $(shell find $(LAB)/src $(LAB)/style $(LAB)/schema -type f)
	cd $(LAB) && npm run --silent build
	touch $@

# A wheel with the extension in it, which whoever installs it needs no Node for.
wheel: extension $(VENV)/ready-test
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

# A browser for the tests, from Debian's package. Without one, its tests are skipped and say so.
chromium:
	@command -v chromium > /dev/null || { test "$$(id -u)" = 0 && command -v apt-get > /dev/null \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium > /dev/null; } \
	  || echo "Chromium can't be had here: its tests will be skipped."

# Much of what tests take is waiting, so two at a time take little more than half as long.
test: check prometheus chromium
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

soak: $(VENV)/ready-test
	PGCELLAR_EXAMPLES=1000 $(BIN)/python -m pytest --timeout 0 \
		tests/integration/test_equals_oracle.py tests/integration/test_sessions.py \
		tests/integration/test_equals_oracle_in_files.py \
		tests/integration/test_killed_against_oracle.py \
		tests/integration/test_no_write_is_taken_for_a_read.py

check: $(VENV)/ready-test notebooks/data/flights.csv extension
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v npm > /dev/null; then cd $(LAB) && npm run --silent check; fi

bench: $(VENV)/ready-test notebooks/data/flights.csv
	$(INSTALL) '.[bench]'
	@$(MAKE) --no-print-directory extension
	$(BIN)/python tests/bench/bench.py
	$(BIN)/python -m tests.bench.browser

lab: $(VENV)/ready notebooks/data/flights.csv
	$(INSTALL) '.[lab]'
	@$(MAKE) --no-print-directory extension
	$(BIN)/pgcellar kernelspec install
	$(BIN)/jupyter lab --notebook-dir=notebooks

format: $(VENV)/ready-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	@if command -v npm > /dev/null; then cd $(LAB) && npm run --silent format; fi

clean:
	rm -rf $(VENV) $(LAB)/node_modules $(LAB)/lib $(LAB)/built dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
