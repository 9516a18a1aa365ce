# The two commands: `make demo` runs the main job, `make test` runs everything CI runs.
# Both set up a virtual environment first, from the versions in constraints.txt.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DATA   ?=
OUT    ?= demo$(if $(DATA),-$(notdir $(DATA:/=)))

.PHONY: setup demo test lint unit test-slow test-bindings test-kernels test-aarch64 benchmarks benchmark-gpu tiny clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "the torch half needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[cpu,train,export,dev]'
	touch $(STAMP)

demo: setup
	PATH="$(abspath $(BIN)):$$PATH" scripts/demo.sh "$(OUT)" "$(DATA)"

test: setup lint unit

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# One process a core, each computing on one thread: threads of several processes wait for each other.
unit: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist loadfile

test-slow: setup
	$(BIN)/python -m pytest -q -m slow

# The core on an emulated 64-bit Arm CPU against x86: minutes, wants qemu and root, never in CI.
test-aarch64: setup
	scripts/test_aarch64.sh $(BIN)/python

# Fetches the Python bindings of each TensorRT that is supported, and holds our code against them.
test-bindings: setup
	$(BIN)/python scripts/tensorrt_bindings.py build/bindings
	TENSORRT_BINDINGS=build/bindings $(BIN)/python -m pytest -q -m '' tests/engines/test_bindings.py

# Compiles our CUDA kernels with NVIDIA's compiler, which needs no GPU.
test-kernels: setup
	$(BIN)/python -m pip install --quiet --upgrade --target build/nvrtc cuda-bindings==13.* nvidia-cuda-nvrtc==13.*
	LD_LIBRARY_PATH=build/nvrtc/nvidia/cu13/lib PYTHONPATH=build/nvrtc $(BIN)/python -m pytest -q -rs tests/engines/test_real_nvrtc.py

benchmarks: setup
	$(BIN)/python benchmarks/generator_speed.py tiny
	$(BIN)/python benchmarks/cold_start.py
	$(BIN)/python benchmarks/generate_overhead.py tiny

# On a machine with a GPU, in the Python that has its libraries: benchmarks/gpu/README.md.
benchmark-gpu:
	$(PYTHON) -m benchmarks.gpu $(if $(WORK),--work "$(WORK)")

# The base and bundle inside the package, from nothing.
TINY := aliaug_edge/assets/tiny
tiny: setup
	$(BIN)/ali-aug pretrain --out runs/tiny
	rm -rf $(TINY)/base $(TINY)/bundle runs/bundle
	cp -r runs/tiny/base $(TINY)/base
	$(BIN)/ali-aug export tiny --out runs/bundle/tiny
	cp -r runs/bundle/tiny $(TINY)/bundle
	$(BIN)/python scripts/calibrate_drawn.py $(TINY)/bundle

clean:
	rm -rf demo demo-* build dist
