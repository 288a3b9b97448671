# `make demo` shows the main job, `make check` is the quick loop, `make test` is everything.
# Each sets up .venv/ in this folder with what it needs, and no more. Python 3.11 or newer and pip suffice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
INPUTS := setup.cfg pyproject.toml constraints.txt

.PHONY: demo check test lint coverage slow docs build smoke golden fuzz audit-dependencies bench \
	cluster faults clean

# torch comes first and alone: once it is there, no other package pulls in a larger build of it.
$(VENV)/core: $(INPUTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	$(PIP) --constraint constraints.txt --editable .
	touch $@

# The extras for development need a C compiler: scoring events is compiled while it is installed.
$(VENV)/dev: $(VENV)/core
	$(PIP) --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: $(VENV)/core
	$(BIN)/frami demo

check: $(VENV)/dev lint
	$(BIN)/python -m pytest -n auto -m "not slow" tests

test: $(VENV)/dev lint coverage slow docs build smoke

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The fast tests alone are measured: they reach what counts, and tracing doubles the time of the slow ones.
coverage: $(VENV)/dev
	$(BIN)/python -m pytest -n auto -m "not slow" --cov --cov-report=term:skip-covered

slow: $(VENV)/dev
	$(BIN)/python -m pytest -n auto -m slow --durations=10

docs: $(VENV)/dev
	$(BIN)/python -m sphinx -W --keep-going --quiet -b html docs docs/_build/html

build: $(VENV)/dev
	rm -rf build dist
	$(BIN)/python -m build --no-isolation --outdir dist . > /dev/null
	$(BIN)/python -m twine check --strict dist/*

# The wheel as a user has it: in a folder of its own, away from the sources.
smoke: build
	$(BIN)/python tests/smoke.py dist

golden: $(VENV)/dev
	$(BIN)/python -m tests.make_golden

# A million damaged files take hours; interrupted, it goes on where it was. FUZZ=10000 tries fewer.
FUZZ ?= 1000000
fuzz: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --inputs $(FUZZ) --state fuzz.json

# Known weaknesses of the pinned packages. pip-audit is no dependency: it needs the network.
audit-dependencies: $(VENV)/dev
	@if $(BIN)/python -c "import pip_audit" 2> /dev/null; \
	then $(BIN)/python -m pip_audit --requirement constraints.txt --no-deps --disable-pip; \
	else echo "pip-audit is not installed. Type: $(BIN)/python -m pip install pip-audit"; exit 1; fi

bench: $(VENV)/dev
	$(BIN)/frami bench --suite all --page evaluate --resume

# Two processes on two free cores: their speed, and that a kill -9 loses nothing.
cluster: $(VENV)/dev
	$(BIN)/python -m tests.cluster

# Kills, full disks and damaged states in every long command. It goes on in faults/ if interrupted.
MINUTES ?= 120
faults: $(VENV)/dev
	$(BIN)/python -m tests.faults --folder faults --minutes $(MINUTES)

clean:
	rm -rf $(VENV) build dist *.egg-info docs/_build demo runs
