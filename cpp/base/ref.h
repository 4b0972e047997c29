// Intrusive reference counts: Ref<T> owns one count of an object that derives from Counted.
#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

// A thread_local pointer or number that costs one instruction to reach from a shared library.
#define LAZULITE_THREAD_LOCAL __attribute__((tls_model("initial-exec"))) thread_local

namespace lazulite {

// Any thread may copy and drop. The last drop calls T::destroy(T*) (default: delete).
struct Counted {
  mutable std::atomic<int64_t> refs{0};
  Counted() = default;
  Counted(const Counted&) {}
  Counted& operator=(const Counted&) { return *this; }
};

template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  explicit Ref(T* p) : p_(p) { up(); }
  Ref(const Ref& o) : p_(o.p_) { up(); }
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  template <class U>
  Ref(const Ref<U>& o) : p_(o.get()) { up(); }
  Ref& operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Ref() { reset(); }

  void reset() {
    // Who holds the only count needs no atomic subtraction: nobody else can make another.
    if (T* p = std::exchange(p_, nullptr))
      if (p->refs.load(std::memory_order_acquire) == 1 ||
          p->refs.fetch_sub(1, std::memory_order_acq_rel) == 1)
        drop(p);
  }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_ != nullptr; }
  bool operator==(const Ref& o) const { return p_ == o.p_; }
  T* release() { return std::exchange(p_, nullptr); }  // the caller takes over the count
  static Ref adopt(T* p) {                             // takes over a count
    Ref r;
    r.p_ = p;
    return r;
  }

 private:
  void up() {
    if (p_) p_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  static void drop(T* p) {
    if constexpr (requires { T::destroy(p); }) T::destroy(p);
    else delete p;
  }
  T* p_ = nullptr;
};

template <class T, class... A>
Ref<T> make_ref(A&&... a) {
  return Ref<T>(new T(std::forward<A>(a)...));
}

}  // namespace lazulite
