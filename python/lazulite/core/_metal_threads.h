// Metal's words in C++, behind _metal.h: atomics, and threadgroups whose threads are fibers of one
// thread of the system, which change places where they wait for each other.
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <memory>
#include <new>
#include <string>
#include <vector>

namespace metal {

// ---- atomics

enum memory_order { memory_order_relaxed, memory_order_acquire, memory_order_release,
                    memory_order_acq_rel, memory_order_seq_cst };
template <class T>
struct atomic {
  T lz_value;
};
using atomic_int = atomic<int>;
using atomic_uint = atomic<uint>;
using atomic_bool = atomic<bool>;
using atomic_float = atomic<float>;
using atomic_ulong = atomic<ulong>;
template <class T>
using bits_of = conditional_t<sizeof(T) == 1, uint8_t,
                              conditional_t<sizeof(T) == 2, uint16_t,
                                            conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>>;
template <class T>
struct Same {
  using type = T;
};
template <class T>
using same = typename Same<T>::type;  // is not asked what T is
template <class T>
bits_of<T>* memory(const volatile atomic<T>* p) {
  return reinterpret_cast<bits_of<T>*>(const_cast<atomic<T>*>(p));
}
template <class T>
T atomic_load_explicit(const volatile atomic<T>* p, memory_order) {
  return lazulite::bits_as<T>(__atomic_load_n(memory(p), __ATOMIC_SEQ_CST));
}
template <class T>
void atomic_store_explicit(volatile atomic<T>* p, same<T> v, memory_order) {
  __atomic_store_n(memory(p), lazulite::bits_as<bits_of<T>>(v), __ATOMIC_SEQ_CST);
}
template <class T>
T atomic_exchange_explicit(volatile atomic<T>* p, same<T> v, memory_order) {
  return lazulite::bits_as<T>(
      __atomic_exchange_n(memory(p), lazulite::bits_as<bits_of<T>>(v), __ATOMIC_SEQ_CST));
}
template <class T>
bool atomic_compare_exchange_weak_explicit(volatile atomic<T>* p, same<T>* expected, same<T> wanted,
                                           memory_order, memory_order) {
  auto before = lazulite::bits_as<bits_of<T>>(*expected);
  const bool done =
      __atomic_compare_exchange_n(memory(p), &before, lazulite::bits_as<bits_of<T>>(wanted), false,
                                  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  *expected = lazulite::bits_as<T>(before);
  return done;
}
template <class T, class F>
T change(volatile atomic<T>* p, F f) {
  auto before = __atomic_load_n(memory(p), __ATOMIC_RELAXED);
  for (;;) {
    const T now = lazulite::bits_as<T>(before);
    if (__atomic_compare_exchange_n(memory(p), &before, lazulite::bits_as<bits_of<T>>(T(f(now))),
                                    true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
      return now;
  }
}
#define LAZULITE_ATOMIC(name, ...)                                                     \
  template <class T>                                                                   \
  T atomic_fetch_##name##_explicit(volatile atomic<T>* p, same<T> v, memory_order) {   \
    return change(p, [v](T now) { return __VA_ARGS__; });                              \
  }
LAZULITE_ATOMIC(add, now + v) LAZULITE_ATOMIC(sub, now - v)
LAZULITE_ATOMIC(max, now < v ? v : now) LAZULITE_ATOMIC(min, v < now ? v : now)
LAZULITE_ATOMIC(and, now & v) LAZULITE_ATOMIC(or, now | v) LAZULITE_ATOMIC(xor, now ^ v)

}  // namespace metal

// ---- threadgroups

namespace lazulite {

constexpr int simd_width = 32;
constexpr size_t largest_value = 64;  // bytes that a thread can show its simdgroup at once

#if defined(__x86_64__)
__attribute__((naked, noinline, used)) static void change_stack(void** /*from*/, void* /*to*/) {
  asm volatile(
      "pushq %rbp\n\tpushq %rbx\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n\t"
      "movq %rsp, (%rdi)\n\tmovq %rsi, %rsp\n\t"
      "popq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbx\n\tpopq %rbp\n\tret\n\t");
}
struct Context {
  void* stack = nullptr;
  void begin(char* bottom, size_t bytes, void (*entry)()) {
    void** top = reinterpret_cast<void**>(bottom + bytes);
    *--top = nullptr;  // where `entry` would return to: it never does
    *--top = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    stack = top;
  }
  void go(Context& to) { change_stack(&stack, to.stack); }
};
#else
struct Context {
  ucontext_t all;
  void begin(char* bottom, size_t bytes, void (*entry)()) {
    getcontext(&all);
    all.uc_stack.ss_sp = bottom;
    all.uc_stack.ss_size = bytes;
    all.uc_link = nullptr;
    makecontext(&all, entry, 0);
  }
  void go(Context& to) { swapcontext(&all, &to.all); }
};
#endif

// The threads of a threadgroup, in simdgroups of 32. Each runs until it waits; when all threads of
// a simdgroup wait at one function of the simdgroup, or all of the threadgroup at the barrier, they
// go on. Where a branch has parted a simdgroup, those that are furthest back in the source go
// first.
class Crew {
 public:
  enum State : uint8_t { ready, at_simd, at_group, done };
  struct Fiber {
    Context context;
    State state;
    int place;  // in the source
  };
  struct Simd {
    alignas(16) char shown[simd_width][largest_value], seen[simd_width][largest_value];
    bool active[simd_width];
    bool folded;  // what `fold` gave the first of them
    alignas(16) char result[largest_value];
  };

  static Crew& mine() {
    static thread_local Crew crew;
    return crew;
  }

  template <class F>
  void run(uint32_t threads, const F& f) {
    prepare(threads);
    body_ = &f;
    call_ = [](const void* body, uint32_t i) { (*static_cast<const F*>(body))(i); };
    for (uint32_t i = 0; i < threads; ++i) {
      // Not all at one offset in their pages: they would meet in one set of the caches.
      fibers_[i].context.begin(memory_ + i * (stack + guard) + guard, stack - i % 128 * 192,
                               &Crew::entry);
      fibers_[i].state = ready;
    }
    for (;;) {
      for (uint32_t first = 0; first < threads; first += simd_width)
        run_simd(first, std::min(threads, first + simd_width));
      int place = -1;
      bool waiting = false;
      for (uint32_t i = 0; i < threads; ++i) {
        if (fibers_[i].state == done) continue;
        if (waiting && fibers_[i].place != place)
          throw std::runtime_error("threads of a threadgroup wait at different barriers: lines " +
                                   std::to_string(place) + " and " +
                                   std::to_string(fibers_[i].place) + " of the source");
        waiting = true;
        place = fibers_[i].place;
      }
      if (!waiting) return;
      for (uint32_t i = 0; i < threads; ++i)
        if (fibers_[i].state == at_group) fibers_[i].state = ready;
    }
  }

  void wait(State why, int place) {
    Fiber& me = fibers_[now_];
    me.state = why;
    me.place = place;
    me.context.go(home_);
  }
  Simd& simd() { return simds_[now_ / simd_width]; }
  uint32_t lane() const { return now_ % simd_width; }

  ~Crew() {
    if (memory_) munmap(memory_, bytes_);
  }

 private:
  static constexpr size_t stack = 256 << 10, guard = 16 << 10;

  static void entry() {
    Crew& crew = mine();
    crew.call_(crew.body_, crew.now_);
    crew.wait(done, 0);
  }

  void prepare(uint32_t threads) {
    if (fibers_.size() >= threads) return;
    if (memory_) munmap(memory_, bytes_);
    bytes_ = threads * (stack + guard);
    void* const got = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (got == MAP_FAILED) {
      memory_ = nullptr;
      fibers_.clear();
      throw std::bad_alloc();
    }
    memory_ = static_cast<char*>(got);
    for (uint32_t i = 0; i < threads; ++i)
      mprotect(memory_ + i * (stack + guard), guard, PROT_NONE);
    fibers_ = std::vector<Fiber>(threads);
    simds_ = std::vector<Simd>((threads + simd_width - 1) / simd_width);
  }

  void run_simd(uint32_t first, uint32_t end) {
    for (;;) {
      for (uint32_t i = first; i < end; ++i) {
        if (fibers_[i].state != ready) continue;
        now_ = i;
        home_.go(fibers_[i].context);
      }
      int place = INT_MAX;
      for (uint32_t i = first; i < end; ++i)
        if (fibers_[i].state == at_simd) place = std::min(place, fibers_[i].place);
      if (place == INT_MAX) return;
      Simd& simd = simds_[first / simd_width];
      simd.folded = false;
      for (uint32_t i = 0; i < simd_width; ++i) {
        const bool here = first + i < end && fibers_[first + i].state == at_simd &&
                          fibers_[first + i].place == place;
        simd.active[i] = here;
        if (!here) continue;
        std::memcpy(simd.seen[i], simd.shown[i], largest_value);
        fibers_[first + i].state = ready;
      }
    }
  }

  std::vector<Fiber> fibers_;
  std::vector<Simd> simds_;
  char* memory_ = nullptr;
  size_t bytes_ = 0;
  Context home_;
  uint32_t now_ = 0;
  const void* body_ = nullptr;
  void (*call_)(const void*, uint32_t) = nullptr;
};

// f(x, y, z, index) for each thread of a group.
template <bool together, class F>
inline void each_thread(const Group<uint32_t>& g, const F& f) {
  if constexpr (together) {
    Crew::mine().run(g.size[0] * g.size[1] * g.size[2], [&](uint32_t i) {
      f(g.first[0] + i % g.size[0], g.first[1] + i / g.size[0] % g.size[1],
        g.first[2] + i / g.size[0] / g.size[1], i);
    });
  } else {
    uint32_t i = 0;
    for (uint32_t z = g.first[2]; z < g.first[2] + g.size[2]; ++z)
      for (uint32_t y = g.first[1]; y < g.first[1] + g.size[1]; ++y)
        for (uint32_t x = g.first[0]; x < g.first[0] + g.size[0]; ++x) f(x, y, z, i++);
  }
}

template <int N>
struct Ints {  // shapes are ints in Metal
  int at[N ? N : 1];
  explicit Ints(const int64_t* from) {
    for (int i = 0; i < N; ++i) at[i] = int(from[i]);
  }
};

}  // namespace lazulite

namespace metal {

enum class mem_flags { mem_none = 0, mem_device = 1, mem_threadgroup = 2, mem_texture = 4,
                       mem_threadgroup_imageblock = 8, mem_object_data = 16 };
constexpr mem_flags operator|(mem_flags a, mem_flags b) { return mem_flags(int(a) | int(b)); }

inline void threadgroup_barrier(mem_flags, int line = __builtin_LINE()) {
  lazulite::Crew::mine().wait(lazulite::Crew::at_group, line);
}
inline void simdgroup_barrier(mem_flags, int line = __builtin_LINE()) {
  lazulite::Crew::mine().wait(lazulite::Crew::at_simd, line * 64);
}
inline void atomic_thread_fence(mem_flags, memory_order = memory_order_relaxed) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// What the active threads of the simdgroup showed.
template <class T>
struct Seen {
  lazulite::Crew::Simd& simd;
  uint lane;
  bool has(uint i) const { return i < uint(lazulite::simd_width) && simd.active[i]; }
  T operator[](uint i) const {
    T v;
    std::memcpy(static_cast<void*>(&v), simd.seen[i], sizeof(T));
    return v;
  }
  T at(uint i) const { return has(i) ? (*this)[i] : (*this)[lane]; }
  // By halves, lane i with lane i + 16, 8, 4, 2, 1: the same order whatever else runs.
  template <class F>
  T fold(uint first, uint count, F f) const {
    T found;
    if (count == 32 && simd.folded) {
      std::memcpy(static_cast<void*>(&found), simd.result, sizeof(T));
      return found;
    }
    T v[lazulite::simd_width];
    bool is[lazulite::simd_width];
    for (uint i = 0; i < count; ++i)
      if ((is[i] = has(first + i))) v[i] = (*this)[first + i];
    for (uint step = count / 2; step; step /= 2)
      for (uint i = 0; i < step; ++i) {
        if (!is[i + step]) continue;
        v[i] = is[i] ? T(f(v[i], v[i + step])) : v[i + step];
        is[i] = true;
      }
    if (count == 32) {
      simd.folded = true;
      std::memcpy(simd.result, &v[0], sizeof(T));
    }
    return v[0];
  }
};
template <class A>
auto show(const A& a, int op, int line) {
  using T = std::remove_cvref_t<decltype(plain(a))>;
  static_assert(sizeof(T) <= lazulite::largest_value, "a value of at most 64 bytes");
  lazulite::Crew& crew = lazulite::Crew::mine();
  lazulite::Crew::Simd& simd = crew.simd();
  const T value = plain(a);
  std::memcpy(simd.shown[crew.lane()], &value, sizeof(T));
  crew.wait(lazulite::Crew::at_simd, line * 64 + op);
  return Seen<T>{simd, crew.lane()};
}

#define LAZULITE_FOLD(name, op, ...)                                                      \
  template <class A>                                                                      \
  auto simd_##name(const A& a, int line = __builtin_LINE()) {                             \
    return show(a, op, line).fold(0, 32, [](auto x, auto y) { return __VA_ARGS__; });     \
  }                                                                                       \
  template <class A>                                                                      \
  auto quad_##name(const A& a, int line = __builtin_LINE()) {                             \
    const auto seen = show(a, op + 16, line);                                             \
    return seen.fold(seen.lane / 4 * 4, 4, [](auto x, auto y) { return __VA_ARGS__; });   \
  }
LAZULITE_FOLD(sum, 1, x + y) LAZULITE_FOLD(product, 2, x* y)
LAZULITE_FOLD(max, 3, metal::max(x, y)) LAZULITE_FOLD(min, 4, metal::min(x, y))
LAZULITE_FOLD(and, 5, x& y) LAZULITE_FOLD(or, 6, x | y) LAZULITE_FOLD(xor, 7, x ^ y)
inline bool simd_all(bool b, int line = __builtin_LINE()) {
  return show(b, 8, line).fold(0, 32, [](bool x, bool y) { return x && y; });
}
inline bool simd_any(bool b, int line = __builtin_LINE()) {
  return show(b, 9, line).fold(0, 32, [](bool x, bool y) { return x || y; });
}
inline bool quad_all(bool b, int line = __builtin_LINE()) {
  const auto seen = show(b, 10, line);
  return seen.fold(seen.lane / 4 * 4, 4, [](bool x, bool y) { return x && y; });
}
inline bool quad_any(bool b, int line = __builtin_LINE()) {
  const auto seen = show(b, 11, line);
  return seen.fold(seen.lane / 4 * 4, 4, [](bool x, bool y) { return x || y; });
}

#define LAZULITE_SHUFFLE(name, op, ...)                                                   \
  template <class A>                                                                      \
  auto simd_##name(const A& a, int n, int line = __builtin_LINE()) {                      \
    const auto seen = show(a, op, line);                                                  \
    const int lane = int(seen.lane), width = 32;                                          \
    return seen.at(uint(__VA_ARGS__) + uint(0 * lane * width * n));                       \
  }                                                                                       \
  template <class A>                                                                      \
  auto quad_##name(const A& a, int n, int line = __builtin_LINE()) {                      \
    const auto seen = show(a, op + 12, line);                                             \
    const int lane = int(seen.lane % 4), width = 4, at = __VA_ARGS__;                     \
    return seen.at(at < 0 || at >= width ? seen.lane : seen.lane - uint(lane) + uint(at)); \
  }
LAZULITE_SHUFFLE(broadcast, 33, n) LAZULITE_SHUFFLE(shuffle, 34, n)
LAZULITE_SHUFFLE(shuffle_up, 35, lane - n) LAZULITE_SHUFFLE(shuffle_down, 36, lane + n)
LAZULITE_SHUFFLE(shuffle_xor, 37, lane ^ n)
LAZULITE_SHUFFLE(shuffle_rotate_up, 38, (lane - n) & (width - 1))
LAZULITE_SHUFFLE(shuffle_rotate_down, 39, (lane + n) & (width - 1))

#define LAZULITE_PREFIX(name, op, start, ...)                                             \
  template <class A>                                                                      \
  auto simd_prefix_inclusive_##name(const A& a, int line = __builtin_LINE()) {            \
    const auto seen = show(a, op, line);                                                  \
    auto y = seen[seen.lane];                                                             \
    bool begun = false;                                                                   \
    for (uint i = 0; i <= seen.lane; ++i) {                                               \
      if (!seen.has(i)) continue;                                                         \
      const auto x = seen[i];                                                             \
      y = begun ? decltype(y)(__VA_ARGS__) : x;                                           \
      begun = true;                                                                       \
    }                                                                                     \
    return y;                                                                             \
  }                                                                                       \
  template <class A>                                                                      \
  auto simd_prefix_exclusive_##name(const A& a, int line = __builtin_LINE()) {            \
    const auto seen = show(a, op + 1, line);                                              \
    auto y = seen[seen.lane];                                                             \
    y = decltype(y)(start);                                                               \
    for (uint i = 0; i < seen.lane; ++i) {                                                \
      if (!seen.has(i)) continue;                                                         \
      const auto x = seen[i];                                                             \
      y = decltype(y)(__VA_ARGS__);                                                       \
    }                                                                                     \
    return y;                                                                             \
  }
LAZULITE_PREFIX(sum, 52, 0, y + x) LAZULITE_PREFIX(product, 54, 1, y * x)

struct simd_vote {
  ulong lz_bits;
  explicit operator ulong() const { return lz_bits; }
  bool any() const { return lz_bits; }
  bool all() const { return lz_bits == 0xffffffff; }
};
inline simd_vote simd_ballot(bool b, int line = __builtin_LINE()) {
  const auto seen = show(b, 12, line);
  ulong bits = 0;
  for (uint i = 0; i < 32; ++i)
    if (seen.has(i) && seen[i]) bits |= ulong(1) << i;
  return {bits};
}
inline simd_vote simd_active_threads_mask(int line = __builtin_LINE()) {
  const auto seen = show(true, 13, line);
  ulong bits = 0;
  for (uint i = 0; i < 32; ++i) bits |= ulong(seen.has(i)) << i;
  return {bits};
}
inline bool simd_is_first(int line = __builtin_LINE()) {
  const auto seen = show(true, 14, line);
  uint first = 0;
  while (!seen.has(first)) ++first;
  return first == seen.lane;
}
template <class A>
auto simd_broadcast_first(const A& a, int line = __builtin_LINE()) {
  const auto seen = show(a, 15, line);
  uint first = 0;
  while (!seen.has(first)) ++first;
  return seen[first];
}

}  // namespace metal
