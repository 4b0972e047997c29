// Python objects that die where the GIL is not held.
#include <mutex>
#include <vector>

#include "bind/array_class.h"
#include "eval/eval.h"

namespace lazulite::bind {

std::atomic<bool> any_waiting{false};

namespace {
struct Waiting {
  std::mutex mutex;
  std::vector<std::pair<void (*)(void*), void*>> objects;
};
Waiting& waiting() {
  static auto* all = new Waiting;
  return *all;
}
}  // namespace

void release_python(void (*release)(void*), void* object) {
  if (!Py_IsInitialized()) return;
  if (PyGILState_Check() && !evaluating()) return release(object);
  bool first;
  {
    const std::lock_guard<std::mutex> guard(waiting().mutex);
    first = waiting().objects.empty();
    waiting().objects.emplace_back(release, object);
    any_waiting.store(true, std::memory_order_release);
  }
  // Asks Python's main thread, which needs no GIL. When its list is full, the next call here will
  // do it.
  if (first)
    Py_AddPendingCall([](void*) {
      release_waiting();
      return 0;
    }, nullptr);
}

void release_waiting() {
  std::vector<std::pair<void (*)(void*), void*>> objects;
  {
    const std::lock_guard<std::mutex> guard(waiting().mutex);
    objects.swap(waiting().objects);
    any_waiting.store(false, std::memory_order_relaxed);
  }
  for (auto& [release, object] : objects) release(object);
}

}  // namespace lazulite::bind
