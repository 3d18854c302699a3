# make report   sets everything up, makes the demo study, runs it and builds the book
# make test     sets everything up and runs the tests
PYTHON  ?= python3
PROFILE ?= fast
PATIENTS ?= 332
CORES   ?= $(shell getconf _NPROCESSORS_ONLN)
BIN     := .venv/bin
TORCH   := torch==2.13.0
STAMP   := .venv/.ready-$(shell cat requirements.lock pyproject.toml Makefile | cksum | cut -d' ' -f1)

ifeq ($(PATIENTS),332)
DEMO     := data/demo
MANIFEST := data_manifest.yaml
else
DEMO     := data/demo_$(PATIENTS)
MANIFEST := $(DEMO)/data_manifest.yaml
endif

.PHONY: report hepatocellular test check bench lock clean setup
.DEFAULT_GOAL := report

report: setup $(DEMO)/demo.json
	$(BIN)/hcc run --manifest $(MANIFEST) --profile $(PROFILE) --cores $(CORES)

# asked again only when the demo's own code is newer; `hcc demo` then decides by content
$(DEMO)/demo.json: $(wildcard hcc_utils/demo/*.py) | setup
	$(BIN)/hcc demo --out $(DEMO) --patients $(PATIENTS)
	@touch $@

# a second study, of real patients: a public table without images (studies/hepatocellular)
hepatocellular: setup data/hepatocellular.csv
	$(BIN)/hcc run --manifest studies/hepatocellular/manifest.yaml --cores $(CORES)

data/hepatocellular.csv: | setup
	$(BIN)/hcc table asaur/hepatoCellular --out $@

test: setup
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m numpydoc.hooks.validate_docstrings $$(git ls-files 'hcc_utils/*.py')
	$(BIN)/codespell
	$(BIN)/nbstripout --keep-id --verify notebooks/*.ipynb

bench: setup $(DEMO)/demo.json
	$(BIN)/python benchmarks/imaging.py --demo $(DEMO)
	$(BIN)/python benchmarks/outline.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/comparison.py
	$(BIN)/python benchmarks/training_memory.py
	$(BIN)/python benchmarks/report.py

setup: $(STAMP)

# torch stands outside the lock: without a GPU its CPU build is enough, and is 2 GB smaller
$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "setting up .venv (2 to 3 minutes, once)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@echo "torch"
	@if nvidia-smi -L >/dev/null 2>&1; then \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH); \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --retries 1 \
	    --extra-index-url https://download.pytorch.org/whl/cpu $(TORCH); \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m pip check
	@rm -f .venv/.ready-*
	@touch $@

# what a GPU needs is left out of the lock, with torch itself
GPU_ONLY := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti \
  nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand \
  nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink \
  nvidia-nvshmem-cu13 nvidia-nvtx

lock:
	uv pip compile pyproject.toml --extra test --extra public-tables --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --quiet --output-file requirements.lock \
	  $(addprefix --no-emit-package ,$(GPU_ONLY))

clean:
	rm -rf results .snakemake
