# make demo: install, then make the sample pictures' faces real.    make test: install, then all tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint install
install: .venv/installed

.venv/installed: setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	touch $@

demo: install
	$(BIN)/python project.py samples -o demo_out

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/lint-imports
