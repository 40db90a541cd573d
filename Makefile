# One target for each thing one does. `make demo` and `make test` work on a fresh clone.
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

BIN := .venv/bin
PACKAGES := .venv/.packages-installed
PROJECT := .venv/.project-installed
ARGS ?=

.PHONY: help demo test test-long lint audit format bench bench-validate bench-train bench-fine-tuning bench-ray bench-ray-data torch lock wheel clean setup

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup ## set everything up, score sample_data/ and a real chest film, say where to look
	@scripts/demo.sh

test: $(PROJECT) ## set everything up, run the tests (ARGS="-k name" passes options to pytest)
	@scripts/system_packages.sh tests
	@$(BIN)/python -m pytest -m "not long" $(ARGS)

test-long: $(PROJECT) ## the tests that take minutes
	@scripts/system_packages.sh tests
	@$(BIN)/python -m pytest -m long $(ARGS)

lint: $(PROJECT) ## style and types: ruff check, ruff format --check, mypy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

audit: setup ## known vulnerabilities in the pinned dependencies; skipped where no database answers
	@scripts/audit.sh

format: $(PROJECT) ## let ruff mend style
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(PROJECT) ## run every benchmark, print one table, write benchmarks/RESULTS.md
	@$(BIN)/python benchmarks/all.py

BENCHMARKS := bench-night bench-floor bench-decode bench-forward bench-heatmaps bench-memory bench-resume bench-start bench-gpu bench-commits
.PHONY: $(BENCHMARKS)
$(BENCHMARKS): bench-%: $(PROJECT)
	@$(BIN)/python benchmarks/$*.py $(ARGS)

# One by one: bench-night (against a notebook), -floor, -decode, -forward, -heatmaps, -memory, -resume, -start, -gpu, -commits.
bench-validate: $(PROJECT) ## what a validation of 22,000 images costs, and against scikit-learn
	@$(BIN)/python benchmarks/validate.py $(ARGS)

bench-ray: $(PROJECT) ## a night on Ray against the local engine, two scoring nodes against one
	@$(BIN)/python benchmarks/cluster.py $(ARGS)

bench-ray-data: $(PROJECT) ## the same films the Ray Data way, against ours on Ray Core (needs pyarrow)
	@$(BIN)/python benchmarks/ray_data_way.py $(ARGS)

bench-train: $(PROJECT) ## training against a bare model.fit on tensors in memory
	@$(BIN)/python benchmarks/train.py $(ARGS)

bench-fine-tuning: $(PROJECT) ## does fine-tuning help, by cross-validation? ARGS="--images DIR --labels CSV --out DIR"
	@$(BIN)/python benchmarks/fine_tuning.py $(ARGS)

setup: $(PROJECT) ## the virtual environment, system libraries and fonts; nothing else
	@scripts/system_packages.sh reports

torch: $(PROJECT) ## best effort: torch's CPU build, for the tests marked torch
	@scripts/torch_for_tests.sh

wheel: $(PROJECT) ## dist/cxrbatch-*.whl
	@rm -rf dist && $(BIN)/python -m build --wheel --no-isolation --outdir dist . >/dev/null && ls dist/*.whl

lock: $(PROJECT) ## pin dependencies anew: requirements/*.txt
	@scripts/lock.sh

clean: ## remove caches, builds and demo/ (.venv stays)
	@rm -rf build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find cxrbatch tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(PACKAGES): requirements/dev.txt scripts/make_venv.sh
	@scripts/make_venv.sh
	@touch $@

# Again when pyproject.toml changes: entry points and metadata live in the installed copy.
$(PROJECT): $(PACKAGES) pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation -e .
	@touch $@
