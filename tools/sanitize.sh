#!/usr/bin/env bash
# Builds with sanitizers and runs tests.
#   tools/sanitize.sh thread [short]     tests/cpp/threads_test.cpp under ThreadSanitizer
#   tools/sanitize.sh address [short]    C++ tests and tests/core under AddressSanitizer and UndefinedBehaviorSanitizer
#   tools/sanitize.sh address python tests/fuzz/threads.py --seconds 300     any other Python command there
# `short` is what make ci runs: the generic kernels only, fewer tests, less time. SANITIZE_PYTHON is the interpreter (.venv/bin/python).
set -eu
cd "$(dirname "$0")/.."
kind=$1 what=${2:-all}
shift; [ $# = 0 ] || shift

if [ "$kind" = thread ]; then
  build=build/thread
  cmake -S . -B "$build" -G Ninja -DLAZULITE_TESTS=ON -DLAZULITE_SANITIZE=thread -DLAZULITE_GENERIC_ONLY=ON > /dev/null
  cmake --build "$build" --target threads_test
  export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1"
  seconds=120
  [ "$what" = all ] || seconds=15
  LAZULITE_STRESS_SECONDS=$seconds "$build/tests/cpp/threads_test"
  LAZULITE_NUM_THREADS=4 LAZULITE_STRESS_SECONDS=$((seconds / 2)) "$build/tests/cpp/threads_test"
  exit
fi

python=${SANITIZE_PYTHON:-.venv/bin/python}
build=build/address options=()
[ "$what" != short ] || build=build/address-short options=(-DLAZULITE_GENERIC_ONLY=ON)
package=$build/package
mkdir -p "$package"
cp -r python/lazulite "$package/"
rm -f "$package"/lazulite/core/_core*.so
cmake -S . -B "$build" -G Ninja -DLAZULITE_PYTHON=ON -DLAZULITE_TESTS=ON -DLAZULITE_SANITIZE=address,undefined "${options[@]}" \
  -DPython_EXECUTABLE="$(cd "$(dirname "$python")" && pwd)/$(basename "$python")" \
  -DLAZULITE_EXTENSION_DIR="$PWD/$package/lazulite/core" > /dev/null
case $what in
  short) cmake --build "$build" --target _core core_test pool_test threads_test ;;
  all) cmake --build "$build" ;;
  *) cmake --build "$build" --target _core ;;
esac

# The interpreter keeps memory until it ends; what no memory could hold is an exception.
export ASAN_OPTIONS="detect_leaks=0 allocator_may_return_null=1 max_allocation_size_mb=8192" UBSAN_OPTIONS="print_stacktrace=1"
case $what in
  short) for t in core_test pool_test threads_test; do "$build/tests/cpp/$t" --gtest_brief=1; done ;;
  all) ctest --test-dir "$build" --output-on-failure ;;
esac
case $what in
  all) tests=(tests/core) ;;
  short) tests=(tests/core/test_{threads,compile,indexing,loops}.py) ;;
esac
case $what in
  all|short) set -- -m pytest -q -s -p no:cacheprovider --durations=10 -m "not process_memory and not much_data" "${tests[@]}" ;;
esac
# -s: a report goes to the standard error, and ends the process before pytest shows what it caught.
# Python itself is not built with the sanitizer: it is loaded first, with the C++ library whose exceptions it watches.
compiler=${CXX:-g++}
LD_PRELOAD="$("$compiler" -print-file-name=libasan.so) $("$compiler" -print-file-name=libstdc++.so)" \
  PYTHONPATH="$PWD/$package" PYTHONMALLOC=malloc exec "$python" "$@"
