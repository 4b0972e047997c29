// Vectors from runs of any length, for per-level units of norms: elements of memory as accumulators
// and back.
#pragma once
#include "engine/reduce/lanes.h"

namespace lazulite::engine {
namespace {

// m elements from p + i on; the other lanes are 0.
template <class In, bool full>
LAZULITE_INLINE typename In::V get(const void* p, int64_t i, int64_t m) {
  const auto* x = static_cast<const typename In::memory*>(p) + i;
  if constexpr (full) return In::load(x);
  else return some_of<In>(x, m);
}
template <class Out, bool full>
LAZULITE_INLINE void put(typename Out::V v, void* p, int64_t i, int64_t m) {
  auto* to = static_cast<typename Out::memory*>(p) + i;
  if constexpr (full) return Out::store(v, to);
  alignas(64) typename Out::memory some[Out::V::size];
  Out::store(v, some);
  store_some<Out::V::size>(to, some, m);
}
template <class V, class F>
LAZULITE_INLINE void for_vectors(int64_t n, F&& f) {
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size) f.template operator()<true>(i, V::size);
  if (i < n) f.template operator()<false>(i, n - i);
}

#define LAZULITE_EACH [&]<bool full>(int64_t i, int64_t m) __attribute__((always_inline))

}  // namespace
}  // namespace lazulite::engine
