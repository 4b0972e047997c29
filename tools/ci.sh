#!/usr/bin/env bash
# What `make ci` runs after `make test`: other compilers, other tool sets, another CMake project.
set -eu -o pipefail
cd "$(dirname "$0")/.."

echo "== clang, warnings are errors: GoogleTest at the generic level, the other levels as far as they are read"
cmake -S . -B build/clang -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DLAZULITE_PYTHON=OFF -DLAZULITE_TESTS=ON \
  -DLAZULITE_WERROR=ON -DLAZULITE_BENCH=ON -DLAZULITE_GENERIC_ONLY=ON > /dev/null
cmake --build build/clang
ctest --test-dir build/clang --output-on-failure -j 2
build/clang/bench/cpp/roof --json > /dev/null
build/clang/bench/cpp/kernels --benchmark_filter='/(add|sum of a chunk)/float32' > /dev/null
cmake -S . -B build/clang-levels -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DLAZULITE_PYTHON=OFF -DLAZULITE_WERROR=ON \
  -DLAZULITE_READ_ONLY=ON > /dev/null
cmake --build build/clang-levels --target level_kernels

echo "== sanitizers, for a short time"
tools/sanitize.sh thread short
tools/sanitize.sh address short

echo "== Debian's own Python, NumPy and pybind11; no warnings (what make test built comes from ccache, with its warnings)"
mkdir -p build/debian-package
cmake -S . -B build/debian -G Ninja -DLAZULITE_PYTHON=ON -DPython_EXECUTABLE=/usr/bin/python3 -Dpybind11_DIR=/usr/lib/cmake/pybind11 \
  -DLAZULITE_EXTENSION_DIR="$PWD/build/debian-package/lazulite/core" > /dev/null
cp -r python/lazulite build/debian-package/
rm -f build/debian-package/lazulite/core/_core*.so
cmake --build build/debian --target _core 2>&1 | tee build/debian/log
if grep -q 'warning:' build/debian/log; then exit 1; fi
PYTHONPATH="$PWD/build/debian-package" /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/smoke

echo "== find_package(Lazulite)"
cmake --build build/debian --target lazulite_core
cmake --install build/debian --prefix "$PWD/build/prefix" > /dev/null
cmake -S examples/cpp -B build/example -G Ninja -DCMAKE_PREFIX_PATH="$PWD/build/prefix" > /dev/null
cmake --build build/example
build/example/regression

echo "== a wheel, in an environment of its own"
rm -rf build/wheel build/wheel-venv
LAZULITE_BUILD_DIR="$PWD/build/wheel-build" .venv/bin/python -m pip wheel -q --no-deps --no-build-isolation -w build/wheel .
ls -l build/wheel
test "$(stat -c %s build/wheel/*.whl)" -le 10000000
python3 -m venv build/wheel-venv
build/wheel-venv/bin/python -m pip install -q build/wheel/*.whl pytest
cp -r tests/smoke build/wheel-venv/smoke
(cd build/wheel-venv && bin/python -m pytest -q -p no:cacheprovider smoke)
