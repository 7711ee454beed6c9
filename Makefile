# Needs python3.11 or newer, pip and make; everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
PARALLEL := -n 3 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help run test check fix bench docs sbom clean

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

.venv/run: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[local]'
	@touch $@

.venv/dev: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ .venv/run

run: .venv/run  ## Build, measure, gate, release and serve examples/docs-assistant (ARGS=--once: ask once, then stop)
	$(BIN)/slipway up examples/docs-assistant $(ARGS)

test: .venv/dev  ## Run the tests, the slow ones with the real model too (ARGS='-m "not slow"' leaves those out)
ifeq ($(strip $(ARGS)),)
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"
	$(BIN)/python -m pytest -m slow tests/builtin
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow --ignore tests/builtin
else
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)
endif

check: .venv/dev  ## Lint, types, layers, translations, generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python tools/catalog.py --check
	$(BIN)/python tools/reference.py --check

fix: .venv/dev  ## Format, and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/dev  ## List the benchmarks; each says in its docstring how to run it and what it shows
	@for f in bench/*.py; do $(BIN)/python -c "import ast,sys; d=ast.get_docstring(ast.parse(open('$$f').read())) or ''; print('$$f:', d.splitlines()[0] if d else '')"; done

docs: .venv/dev  ## Write docs/reference from the code
	$(BIN)/python tools/reference.py

sbom: .venv/dev  ## Write dist/sbom.cdx.json: every package installed, with version and licence (CycloneDX)
	@mkdir -p dist
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o dist/sbom.cdx.json $(BIN)/python

clean:  ## Remove the virtual environment and the example's state
	rm -rf .venv examples/*/.slipway
