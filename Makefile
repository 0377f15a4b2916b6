# The first target that needs it builds .venv; afterwards only a changed pyproject.toml or constraints.txt does.
PYTHON ?= $(shell command -v python3.11 2>/dev/null || command -v python3)
BIN := .venv/bin
READY := .venv/.installed
export MLFLOW_DISABLE_TELEMETRY ?= true

.DEFAULT_GOAL := help
.PHONY: help demo test slow bench ui lab docs pair clean

help:
	@echo "make TARGET, where TARGET is"
	@echo "  demo    train an agent on DeepRMSA NSFNET at 250 Erlang and compare it with the heuristics"
	@echo "  test    ruff, import layers, mypy, pytest: what a change must pass"
	@echo "  slow    the tests that take minutes"
	@echo "  bench   measure speed; wants an idle machine"
	@echo "  ui      browse the runs at http://127.0.0.1:5000"
	@echo "  docs    build the documentation in docs/site, checked for broken links"
	@echo "  lab     open the notebooks in JupyterLab"
	@echo "  pair    bring each notebook and its .py together; of two that differ the newer one counts"
	@echo "  clean   remove .venv and caches; runs (mlruns/) stay"

$(READY): pyproject.toml constraints.txt
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $(READY)

demo: $(READY)
	$(BIN)/fusion-rl notebook 01_train_and_compare -p experiment=deeprmsa-nsfnet

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/pytest -q -n 2 --dist loadfile

slow: $(READY)
	$(BIN)/pytest -q -m slow

bench: $(READY)
	$(BIN)/fusion-rl bench

ui: $(READY)
	$(BIN)/fusion-rl ui

lab: $(READY)
	$(BIN)/jupyter lab notebooks

docs: $(READY)
	$(BIN)/mkdocs build --quiet --strict -f docs/mkdocs.yml

pair: $(READY)
	$(BIN)/jupytext --quiet --sync notebooks/*.ipynb

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find fusion_rl tests -name __pycache__ -prune -exec rm -rf {} +
