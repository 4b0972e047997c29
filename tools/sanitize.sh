#!/usr/bin/env bash
# Builds with sanitizers and runs tests.
#   tools/sanitize.sh thread [short]     tests/cpp/threads_test.cpp under ThreadSanitizer
# `short` is what make ci runs: less time.
set -eu
cd "$(dirname "$0")/.."
kind=$1 what=${2:-all}

case $kind in
  thread)
    build=build/thread
    cmake -S . -B "$build" -G Ninja -DLAZULITE_TESTS=ON -DLAZULITE_SANITIZE=thread -DLAZULITE_GENERIC_ONLY=ON > /dev/null
    cmake --build "$build" --target threads_test
    export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1"
    seconds=120
    [ "$what" = all ] || seconds=15
    LAZULITE_STRESS_SECONDS=$seconds "$build/tests/cpp/threads_test"
    LAZULITE_NUM_THREADS=4 LAZULITE_STRESS_SECONDS=$((seconds / 2)) "$build/tests/cpp/threads_test"
    ;;
  *)
    echo "usage: $0 thread [short]" >&2
    exit 2
    ;;
esac
