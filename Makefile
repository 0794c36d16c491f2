# Each target makes the environment it needs (.venv) by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

PROFILE ?= auto
LAYOUTS ?=
LIMIT ?=
SEEDS ?=
METHODS ?=
BATCH ?=
OUT ?=
SUMMARY ?=
SET ?=
option = $(if $(strip $(2)),--$(1) '$(strip $(2))')
OPTIONS = $(call option,limit,$(LIMIT)) $(call option,seeds,$(SEEDS)) $(call option,methods,$(METHODS)) \
	$(call option,batch,$(BATCH)) $(call option,layouts,$(LAYOUTS)) $(call option,out,$(OUT)) $(call option,set,$(SET))

.DEFAULT_GOAL := help
.PHONY: help setup bench-migc smoke controls test test-reference torture fuzz soak benchmark check regress train-mini clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'
	@echo "  Of bench-migc and controls: PROFILE=auto|mini|paper LIMIT=100 SEEDS=0,1 METHODS=migc,... BATCH=16"
	@echo "  LAYOUTS=mini-hard OUT=runs/NAME SET=aggregation.s=5 (one); of regress: SUMMARY=summary.md"

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once; about 5 GB, a few minutes)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(READY) ## Make the environment and nothing else

bench-migc: $(READY) ## The main job: generate, detect, judge and time the methods; write Table 1
	$(BIN)/amdm-bench migc --profile $(PROFILE) $(OPTIONS)

smoke: $(READY) ## The main job on 25 layouts
	$(BIN)/amdm-bench migc --profile mini --limit 25

controls: $(READY) ## Control experiments on 200 layouts: the paper's letter, null control, switch, slerp
	$(BIN)/amdm-bench controls --profile $(PROFILE) $(OPTIONS)

test: $(READY) ## All tests
	$(BIN)/python -m pytest

test-reference: $(READY) ## Only the recorded cases of the official code, with a count by file
	$(BIN)/python scripts/reference_report.py

torture: $(READY) ## 200 kills and full disks on a real mini run; all must end as if nothing had been
	$(BIN)/python -m tests.torture

fuzz: $(READY) ## 10,000 hostile and broken inputs; each must end in success or in one line
	$(BIN)/python -m tests.fuzz

soak: $(READY) ## A mini job in a loop for SOAK_SECONDS (1200); memory, file handles and time must not grow
	$(BIN)/python -m tests.torture.soak

benchmark: $(READY) ## Speed and memory of ways to draw the same pictures, diffusers' own pipeline among them, in one run
	$(BIN)/python scripts/benchmark.py

check: $(READY) ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

regress: $(READY) ## Measure a fixed subset again and compare it with reports/baselines/mini.json
	rm -rf runs/regress
	$(BIN)/amdm-bench migc --profile mini --limit 100 --out runs/regress
	$(BIN)/amdm-bench regress runs/regress --baseline reports/baselines/mini.json $(call option,summary,$(SUMMARY))

train-mini: $(READY) ## Train the mini models and the mini judge from scratch (resumes; CPU or CUDA)
	$(BIN)/amdm train-mini
	$(BIN)/amdm-bench train-judge

clean: ## Remove the environment, runs and caches (weights and reports stay)
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
