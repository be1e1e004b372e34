# Everything that a developer does here, one word each. Needs Python 3.11 or newer and make; the rest is
# fetched on the first run (a few minutes) and kept (the second run starts in seconds).
#
#   make demo         the story in the terminal: departments, consent, a withdrawal, a view that goes
#   make watch-demo   a real Prometheus over the local stack: faults, who is woken, and what is mended (6 minutes)
#   make test         all tests, those on a real Kafka too
#   make check        format, lint, types
#   make bench        how fast, as ratios against other stream processors (BENCH="--part w1 --only quix")
#   make bench-scale  the same backbone with 10^5 citizens and more, 100 agreements, 10^6 records
#   make soak         the long test with crashes (MINUTES=20), then five minutes of fresh seeds
#   make mutation     break the consent and identity modules line by line; names what no test notices
#   make documents    write every page and document that is made from the rules
#   make lock         write requirements.lock again, from what is installed
#   make clean        stop the local stack, remove .venv, .state and caches
#
# PYTHON=python3.12 make ... chooses the interpreter. TESTS=tests/core make test runs a part.

SHELL := /bin/sh
.DEFAULT_GOAL := help
# Images for containers often forbid bytecode; then each of the hundreds of processes that tests start compiles all anew.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help demo watch-demo test check bench bench-scale soak mutation documents lock clean venv

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TESTS ?= tests
MINUTES ?= 20
SEED_SECONDS ?= 100

help:
	@sed -n 's/^#   //p' $(MAKEFILE_LIST)

demo: $(STAMP)
	@echo "== demo: from a department's event to a service's view =="
	@$(BIN)/postroom demo

watch-demo: $(STAMP)
	@echo "== watch-demo: faults, and the pages that they bring (PICTURES=docs/images for pictures) =="
	@$(BIN)/python -m tests.flow.watch_demo

test: $(STAMP)
	@echo "== test: $(TESTS) (the first run fetches Kafka and the registry) =="
	@$(BIN)/python -m pytest $(TESTS) $(PYTEST_ARGS)

check: $(STAMP)
	@echo "== check: format =="
	@$(BIN)/ruff format --check .
	@echo "== check: lint =="
	@$(BIN)/ruff check .
	@echo "== check: types =="
	@$(BIN)/mypy

bench: $(STAMP)
	@echo "== bench: W1 beside the peers, W2, latency, recovery, gateway (docs/performance.md) =="
	@$(BIN)/python tests/bench/run.py $(BENCH)

bench-scale: $(STAMP)
	@echo "== bench-scale: hours rather than minutes (docs/performance.md) =="
	@$(BIN)/python tests/bench/run.py --scale $(BENCH)

soak: $(STAMP)
	@echo "== soak: $(MINUTES) minutes of kills, zombies, lost brokers, full disks (SOAK_SEED=n repeats one) =="
	@SOAK_MINUTES=$(MINUTES) $(BIN)/python -m pytest -q -s -m slow tests/flow/test_faults.py $(PYTEST_ARGS)
	@first=$$(date +%s); \
	echo "== soak: three times $(SEED_SECONDS) s of fresh seeds from $$first on, stages against the slow model =="; \
	POSTROOM_FIRST_SEED=$$first POSTROOM_SEED_SECONDS=$(SEED_SECONDS) \
	    $(BIN)/python -m pytest -q -s tests/simulation/test_replay_equals_model.py

mutation: $(STAMP)
	@echo "== mutation: consent and identity, line by line (MODULES=consent for one) =="
	@$(BIN)/python tests/mutation/run.py $(MODULES)

# Tests see that these are in step; this is what to run when they say that they are not.
documents: $(STAMP)
	@echo "== documents: docs/contracts.md, docs/decision.md, docs/permissions.md, docs/generated =="
	@$(BIN)/postroom contract docs --to docs/contracts.md schemas
	@$(BIN)/python -m postroom.pages
	@env -u POSTROOM_PARTITIONS POSTROOM_CONTRACTS=schemas POSTROOM_AGREEMENTS=schemas/agreements \
	    $(BIN)/postroom documents build docs/generated
	@$(BIN)/postroom alerts build deploy
	@env POSTROOM_CONTRACTS=schemas $(BIN)/postroom dashboards build deploy/grafana/dashboards

# The lock holds exact versions of the whole tree, dev included. It is what is installed and tested here,
# so: change pyproject.toml, install into .venv, run the tests, then write the lock.
lock: $(STAMP)
	@echo "== lock: requirements.lock from $(VENV) =="
	@{ sed -n '/^#/p' requirements.lock; \
	   $(BIN)/python -m pip freeze --all --exclude-editable --exclude pip --exclude postroom; } > .lock.new
	@mv .lock.new requirements.lock
	@git --no-pager diff --stat -- requirements.lock

clean:
	@if [ -x $(BIN)/postroom ]; then $(BIN)/postroom down || true; fi
	rm -rf $(VENV) .state .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info

venv: $(STAMP)

# INVARIANT: the stamp is written last, so an interrupted installation is finished by the next run.
$(STAMP): requirements.lock pyproject.toml
	@set -eu; \
	good() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; \
	python=; \
	for candidate in $${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do \
	    if good "$$candidate"; then python=$$candidate; break; fi; \
	    if [ "$$candidate" = "$${PYTHON:-}" ]; then \
	        echo "PYTHON=$$candidate is not a Python of 3.11 or newer."; exit 2; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "Postroom needs Python 3.11 or newer, and found none of python3, python3.13, python3.12, python3.11."; \
	    echo "Install one, or name it: PYTHON=/path/to/python3 make ..."; exit 2; fi; \
	started=$$(date +%s); \
	echo "== environment: $(VENV) with $$("$$python" --version) =="; \
	if [ -e $(VENV) ] && ! good $(BIN)/python; then \
	    echo "   $(VENV) no longer works (its Python has gone): making it again"; rm -rf $(VENV); fi; \
	if [ ! -x $(BIN)/pip ]; then \
	    "$$python" -m venv $(VENV) || { \
	        echo "'$$python -m venv' failed. On Debian and Ubuntu: apt-get install python3-venv"; exit 2; }; fi; \
	echo "== dependencies: $$(grep -c '==' requirements.lock) packages, exact versions from requirements.lock," \
	    "some 120 MB if none is here yet: a minute or two without a word =="; \
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.lock; \
	echo "== postroom itself =="; \
	$(BIN)/python -m pip install --disable-pip-version-check -qq --no-deps --no-build-isolation -e .; \
	touch $(STAMP); \
	echo "== environment ready after $$(( $$(date +%s) - started )) s =="
