# make demo: builds, installs into .venv and trains a network on real digits (writes digits.png)
# make test: the same set-up, then GoogleTest through ctest, and pytest (in PROCESSES, 2)
# make fuzz: every fuzzer for SECONDS, from a seed that is another each day (SEED)
# make asan: C++ tests and tests/core under AddressSanitizer and UndefinedBehaviorSanitizer
# make bench: Lazulite beside the frameworks that .venv has (BENCH="--only reduce --json FILE")
# make tsan: sixteen threads that share arrays, under ThreadSanitizer
# make ci:   clang with warnings as errors, short sanitizer runs, Debian's own tool set, and the find_package example
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
BUILD := build/venv
DEBIAN_PACKAGES := g++ cmake ninja-build ccache libgtest-dev python3-venv python3-dev
CI_PACKAGES := clang libbenchmark-dev pybind11-dev python3-numpy python3-pytest

.PHONY: demo test fuzz asan tsan ci build system clean bench

demo: build
	@$(RUN) -c "import sklearn, matplotlib, tqdm" 2>/dev/null || $(RUN) -m pip install -q scikit-learn matplotlib tqdm
	$(RUN) examples/digits.py

PROCESSES ?= 2
test: build
	@$(RUN) -c "import pytest, xdist, hypothesis, scipy, mpmath, ml_dtypes, mypy, PIL, tokenizers, sklearn, matplotlib, tqdm" 2>/dev/null || $(RUN) -m pip install -q pytest pytest-xdist hypothesis scipy mpmath ml_dtypes mypy pillow tokenizers scikit-learn matplotlib tqdm
	cmake -S . -B $(BUILD) -DLAZULITE_TESTS=ON -DLAZULITE_PYTHON=ON > /dev/null
	cmake --build $(BUILD)
	ctest --test-dir $(BUILD) --output-on-failure -j $(PROCESSES)
	$(RUN) -m pytest tests -n $(PROCESSES) --dist loadfile

SECONDS ?= 60
SEED ?= $(shell date +%Y%m%d0000)
fuzz: build
	@$(RUN) -c "import scipy, mpmath, ml_dtypes" 2>/dev/null || $(RUN) -m pip install -q scipy mpmath ml_dtypes
	$(RUN) tests/fuzz/run.py $(SECONDS) $(SEED)

build: system $(VENV)/ready
	LAZULITE_BUILD_DIR=$(BUILD) LAZULITE_CMAKE_ARGS="-DLAZULITE_TESTS=OFF" $(RUN) -m pip install -q --no-build-isolation --no-deps -e .

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -q --upgrade pip
	$(RUN) -m pip install -q "setuptools>=64" wheel "pybind11>=2.10" numpy "scipy-openblas32>=0.3.30"
	touch $@

system:
	@tools/need_packages.sh $(DEBIAN_PACKAGES)

ci:
	@tools/need_packages.sh $(DEBIAN_PACKAGES) $(CI_PACKAGES)
	tools/ci.sh

asan: system $(VENV)/ready
	@$(RUN) -c "import pytest, hypothesis, scipy, mpmath, ml_dtypes" 2>/dev/null || $(RUN) -m pip install -q pytest hypothesis scipy mpmath ml_dtypes
	tools/sanitize.sh address

tsan: system
	tools/sanitize.sh thread

bench: build
	$(RUN) bench/run.py $(BENCH)

clean:
	rm -rf build $(VENV) digits.png python/lazulite/core/_core*.so
