# `make profile` shows the main result, `make test` checks everything. Both set up .venv first, once.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

.PHONY: help profile test reports docs bench train clean

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18

profile: .venv/installed  ## energy report of the shipped network on real images (more options: ARGS="...")
	$(BIN)/snn-energy profile fashion-cnn $(ARGS)

test: .venv/installed-test  ## style, types and the tests that take seconds; .ci/run adds the slow ones
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 $(ARGS)

reports: .venv/installed  ## rebuild the committed reports and the golden files
	$(BIN)/python -m snn_energy.reporting.rebuild reports
	$(BIN)/python -m snn_energy.reporting.rebuild tests/golden 256

docs: .venv/installed-test  ## run the notebooks in docs/ and draw the gallery anew
	$(BIN)/python docs/notebooks.py
	$(BIN)/python docs/gallery.py

bench: .venv/installed  ## what counting costs on six networks, beside other counters where they are installed
	$(BIN)/python benchmarks/overhead.py $(ARGS)

train: .venv/installed  ## train the shipped network anew, into runs/ (where the images lie: ARGS="--data-dir ...")
	mkdir -p runs
	$(BIN)/snn-energy train --recipe fashion-cnn --out runs/fashion-cnn.pt $(ARGS)

clean:  ## remove .venv and all caches
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find snn_energy tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv .venv

# These files only remember that the installation is done; new requirements make them out of date.
.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing into .venv (minutes the first time)"
	$(INSTALL) -e .
	touch $@

.venv/installed-test: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing into .venv, with the test tools (minutes the first time)"
	$(INSTALL) -e '.[test]'
	touch .venv/installed $@
