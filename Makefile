# `make demo` and `make test` are all a fresh machine needs; everything else builds on the same
# virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test prometheus soak lab bench check format clean

$(VENV)/ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("pgcellar needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/ready-test: $(VENV)/ready
	$(BIN)/pip install --quiet --editable '.[test]'
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

test: check prometheus
	$(BIN)/python -m pytest

soak: $(VENV)/ready-test
	PGCELLAR_EXAMPLES=1000 $(BIN)/python -m pytest --timeout 0 \
		tests/integration/test_equals_oracle.py tests/integration/test_sessions.py \
		tests/integration/test_equals_oracle_in_files.py

check: $(VENV)/ready-test notebooks/data/flights.csv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/ready-test notebooks/data/flights.csv
	$(BIN)/pip install --quiet --editable '.[bench]'
	$(BIN)/python tests/bench/bench.py

lab: $(VENV)/ready notebooks/data/flights.csv
	$(BIN)/pip install --quiet --editable '.[lab]'
	$(BIN)/pgcellar kernelspec install
	$(BIN)/jupyter lab --notebook-dir=notebooks

format: $(VENV)/ready-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
