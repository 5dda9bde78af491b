# Everything runs in a virtual environment of its own. Required: Python 3.11 or later and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
RUNNABLE := $(VENV)/runnable
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

# pytest caches the assertions that it rewrites as bytecode, which saves half a minute.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo unit test lint format docs golden fuzz soak clean

# A simulated Nomad cluster and an exporter that monitors it; options in ARGS, such as ARGS="--version 1.6 --prometheus".
demo: $(RUNNABLE)
	@$(BIN)/nomad-exporter demo $(ARGS)

# One worker for each core. A file stays on one worker, so its fixtures are set up once; the slow files start first.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

# The unit tests without the slow ones: quick enough for every change.
unit: $(INSTALLED)
	$(PYTEST) -m "not slow" tests/unit $(ARGS)

# All tests, with a quarter of the incidents; those that need a real part skip if it is not installed. Options in ARGS.
# Tests of timeouts, marked alone, follow without a second worker that would take their time. Exit code 5: none selected.
test: $(INSTALLED)
	$(PYTEST) -m "not alone" $(ARGS) || [ $$? -eq 5 ]
	$(BIN)/python -m pytest -m alone $(ARGS) $(if $(findstring --cov,$(ARGS)),--cov-append) || [ $$? -eq 5 ]

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Write the generated tables and sections of docs/ from the code.
docs: $(INSTALLED)
	$(BIN)/python -m tools.generate_docs

# Regenerate the expected pages of the recorded agents: read the difference before you commit it.
golden: $(INSTALLED)
	$(BIN)/python -m tests.regenerate

$(RUNNABLE): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[demo]'
	@touch $@

$(INSTALLED): $(RUNNABLE)
	$(INSTALL) '.[test]'
	@touch $@

# Runs that are too long for a test: mutated responses, and many agents.
fuzz: $(INSTALLED)
	$(BIN)/python -m tools.fuzz --seconds 120

soak: $(INSTALLED)
	$(BIN)/python -m tools.soak --minutes 10 --agents 500

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage* .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
