// Threads: one process-wide pool for the work inside an op. (Background work: streams.h.)
//
// No thread exists before the first region that wants one. No thread here ever takes the GIL. All
// of it is leaked at exit. After a fork the child starts with no thread and makes its own: a fork
// waits until no region is shared with workers. A body must not fork.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace lazulite::cpu {

// A reference to something callable, without owning it: two words, no allocation. It is valid as
// long as what it refers to, which makes it fit for parameters only.
template <class Signature>
class FunctionRef;

template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef> &&
             std::is_object_v<std::remove_reference_t<F>> && std::is_invocable_r_v<R, F&, Args...>)
  FunctionRef(F&& f)  // NOLINT: implicit, so that a lambda can be passed
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
        call_([](void* object, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(std::forward<Args>(args)...);
        }) {}

  R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

// Runs body(0) ... body(chunks - 1), each once, on the caller and on idle workers, and returns when
// all are done. Chunks are claimed in order, one at a time; which thread runs which is not fixed.
// `cost_ns` is the estimated cost of the whole: below about 50 us no sleeping worker is woken,
// below 10 us the caller works alone. Inside a body everything runs inline. Any number of threads
// may call at once. If bodies throw, no further chunk is started, and the exception of the lowest
// chunk is rethrown here (always the same one: the chunks below it had been claimed before it).
void parallel_for(int64_t chunks, FunctionRef<void(int64_t chunk)> body, double cost_ns);

// While one lives, small regions of its thread, each not worth a wake-up, wake workers now and
// then: a loop says what all its regions cost together. Once in some 200 us of that, at most.
class Ahead {
 public:
  explicit Ahead(double cost_ns);
  ~Ahead();
  Ahead(const Ahead&) = delete;

 private:
  const int before_;
};

// Threads that one region may use, the caller included. At the start: LAZULITE_NUM_THREADS, else
// usable_cores(). set_num_threads takes 1 to 1024; running regions end as they began.
int num_threads();
void set_num_threads(int n);

// For tests: every region of two chunks or more counts as worth at least this, so that small ones
// wake workers too.
void set_least_cost(double ns);

// Makes sure that the handlers are there even where nothing else of this file is used.
void register_fork_handlers();

}  // namespace lazulite::cpu
