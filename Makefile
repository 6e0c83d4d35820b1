# make demo: install, then make the sample pictures' faces real.    make test: install, then all tests.
# make app: install with gradio, then serve the page for designers on this machine.
# make tables: install, then all tables of docs/reproduction.md, small, on the avatars in DATA (20 minutes on 2 cores).
PYTHON ?= python3
DATA ?= ../shared/avatars
TABLES ?= runs/tables
BIN := .venv/bin

.PHONY: demo app test tables lint install
install: .venv/installed

.venv/installed: setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	touch $@

demo: install
	$(BIN)/python project.py samples -o demo_out

app: .venv/app
	$(BIN)/python app.py

.venv/app: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[app]"
	touch $@

test: install
	$(BIN)/python -m pytest -n auto --dist loadfile

tables: .venv/tables
	$(BIN)/python scripts/paper/table_style_transfer.py --rendered $(DATA)/rendered --real $(DATA)/real --out $(TABLES)/style-transfer
	$(BIN)/python scripts/paper/table_datasets.py --out $(TABLES)/datasets
	$(BIN)/python scripts/paper/ablation_losses.py configs/demo_rendering128.yaml --out $(TABLES)/ablation-losses \
		--set kimg=0.3 --set data=$(DATA)/rendered --set exclude=$(DATA)/matched --set g_real=weights/demo/g_real.safetensors \
		--set w_plus=null --processes 2 --count 96
	$(BIN)/python scripts/paper/benchmark_paired.py --data $(DATA) --out $(TABLES)/paired --ablation $(TABLES)/ablation-losses \
		--count 12 --steps 60
	$(BIN)/python scripts/paper/ablation_framework.py --data $(DATA) --out $(TABLES)/paired --count 12 --steps 60
	$(BIN)/python scripts/paper/ablation_inversion.py $(TABLES)/paired/methods/input -o $(TABLES)/inversion

.venv/tables: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[tables]"
	touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/lint-imports
