# make studio   sets up .venv on the first run and opens the studio on http://127.0.0.1:7860
# make test     sets up .venv with the test tools and runs every check
.DEFAULT_GOAL := studio
.PHONY: studio test lint clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# A stamp stands for an installed requirements file: a second run starts at once.
$(VENV)/%.stamp: %.txt requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r $<
	@touch $@

studio: $(VENV)/requirements.stamp
	$(BIN)/python studio.py $(ARGS)

lint: $(VENV)/requirements-dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadgroup $(ARGS)

clean:
	rm -rf $(VENV) workspace build *.egg-info .pytest_cache .ruff_cache .mypy_cache
