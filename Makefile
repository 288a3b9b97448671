# Two commands do all the set-up: `make demo` (the main job) and `make test`. Nothing is needed but Python 3.11+ and pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint bench clean

# torch comes first and alone: once it is there, no other package pulls in a larger build of it.
$(VENV)/installed: setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[test]"
	touch $@

demo: $(VENV)/installed
	$(BIN)/frami demo

test: $(VENV)/installed lint
	$(BIN)/python -m pytest --durations=10

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed
	$(BIN)/frami bench --suite main --page evaluate
	$(BIN)/frami bench --suite ablation --page evaluate

clean:
	rm -rf $(VENV) build *.egg-info demo runs
