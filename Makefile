# Each target makes the environment it needs (.venv) by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

PROFILE ?= auto
LAYOUTS ?=
LIMIT ?=
TRIALS ?=
SEEDS ?=
METHODS ?=
BATCH ?=
OUT ?=
SUMMARY ?=
SET ?=
ARGS ?=
option = $(if $(strip $(2)),--$(1) '$(strip $(2))')
OPTIONS = $(call option,limit,$(LIMIT)) $(call option,seeds,$(SEEDS)) $(call option,methods,$(METHODS)) \
	$(call option,batch,$(BATCH)) $(call option,layouts,$(LAYOUTS)) $(call option,out,$(OUT)) $(call option,set,$(SET))

.DEFAULT_GOAL := help
.PHONY: help setup setup-ci bench-migc smoke controls combined compositions ablation test test-processors test-reference torture torture-ray fuzz soak benchmark docs check regress train-mini clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'
	@echo "  Of bench-migc, controls and combined: PROFILE=auto|mini|paper LIMIT=100 SEEDS=0,1 METHODS=migc,... BATCH=16"
	@echo "  LAYOUTS=mini-hard OUT=runs/NAME SET=aggregation.s=5 (one); of regress: SUMMARY=summary.md"
	@echo "  Of compositions and ablation: LIMIT=50 SEEDS=0,1; of compositions: TRIALS=6"

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

combined: OUT := $(or $(strip $(OUT)),runs/combined)
combined: $(READY) ## What no single model can draw: place, colour, action and style together; reports/combined
	$(BIN)/amdm-bench combined $(if $(filter-out auto,$(PROFILE)),--profile $(PROFILE)) $(OPTIONS)

compositions: $(READY) ## Every composition, tuned with as many trials, at equal evaluations; reports/compositions
	$(BIN)/amdm-bench compositions $(call option,limit,$(LIMIT)) $(call option,trials,$(TRIALS)) $(call option,seeds,$(SEEDS))

ablation: $(READY) ## The paper against the authors' code, one difference at a time; η, s, w; reports/ablation
	$(BIN)/amdm-bench ablation $(call option,limit,$(LIMIT)) $(call option,seeds,$(SEEDS))

setup-ci: $(READY) ## Also what tests with Ray, S3, trackers and a browser need (extra: ci); without it they skip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,ci]'

test: $(READY) ## All tests, on up to four cores; then those with Ray, which takes them all itself
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not ray' -n auto --maxprocesses 4 --dist worksteal
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m ray

test-processors: $(READY) ## All tests but Ray's as other processors would run them, seven times over; ARGS="-m numeric" is quick
	PYTHON=$(BIN)/python scripts/processors.sh $(or $(ARGS),-m 'not ray')

test-reference: $(READY) ## Only the recorded cases of the official code, with a count by file
	$(BIN)/python scripts/reference_report.py

torture: $(READY) ## 200 kills and full disks on a real mini run; all must end as if nothing had been
	$(BIN)/python -m tests.torture

torture-ray: $(READY) ## 50 kills of workers, nodes and commands on a Ray cluster here; needs: make setup-ci
	$(BIN)/python -m tests.torture.ray_kills

fuzz: $(READY) ## 10,000 hostile and broken inputs; each must end in success or in one line
	$(BIN)/python -m tests.fuzz

soak: $(READY) ## A mini job in a loop for SOAK_SECONDS (1200); memory, file handles and time must not grow
	$(BIN)/python -m tests.torture.soak

benchmark: $(READY) ## Speed and memory of ways to draw the same pictures, diffusers' own pipeline among them, in one run
	$(BIN)/python scripts/benchmark.py

docs: $(READY) ## The documentation as a site, in site/; needs no network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

check: $(READY) ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

COMBINED_GATE = interactdiffusion@combined,migc@combined,ip-adapter@combined,interactdiffusion+migc@combined,interactdiffusion+migc+ip-adapter

regress: $(READY) ## Measure fixed subsets again and compare them with reports/baselines/: 100 layouts of mini, 50 combined
	rm -rf runs/regress runs/regress-combined
	$(BIN)/amdm-bench migc --profile mini --limit 100 --out runs/regress
	$(BIN)/amdm-bench combined --limit 50 --methods $(COMBINED_GATE) --out runs/regress-combined
	$(BIN)/amdm-bench regress runs/regress --baseline reports/baselines/mini.json $(call option,summary,$(SUMMARY))
	$(BIN)/amdm-bench regress runs/regress-combined --baseline reports/baselines/combined.json

train-mini: $(READY) ## Train the mini models and what judges their pictures from scratch (resumes; CPU or CUDA)
	$(BIN)/amdm train-mini
	$(BIN)/amdm-bench train-judge

clean: ## Remove the environment, runs and caches (weights and reports stay)
	rm -rf $(VENV) runs site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
