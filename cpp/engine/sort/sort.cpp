#include "engine/sort/sort.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <numeric>
#include <type_traits>
#include <vector>

#include "device/cpu/guarded.h"
#include "device/cpu/level.h"
#include "device/cpu/move.h"
#include "device/cpu/pool.h"
#include "device/device.h"
#include "device/limits.h"
#include "engine/sort/kernels.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const SortKernels&, sort_kernels)

namespace {

// Memory for n values, not filled; of few on the stack.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t n) {
    if (n * int64_t(sizeof(T)) > int64_t(sizeof near_) || cpu::guarded::wanted())
      held_ = allocate(n * int64_t(sizeof(T)));
  }
  T* data() { return held_ ? static_cast<T*>(held_->data) : reinterpret_cast<T*>(near_); }

 private:
  Ref<Buffer> held_;
  alignas(64) char near_[2048];
};

// Chunks of n elements, body(from, count).
constexpr int64_t chunk_step = grain * 4;
template <class F>
void chunks(int64_t n, double ns, F&& body) {
  if (n <= chunk_step) return body(int64_t(0), n);
  cpu::parallel_for((n + chunk_step - 1) / chunk_step, [&](int64_t c) {
    body(c * chunk_step, std::min(chunk_step, n - c * chunk_step));
  }, double(n) * ns);
}

// ---- keys of one line

template <class K>
constexpr int width_of = sizeof(K) == 8;
inline bool has_wide_keys(Dtype t) { return size_of(t) == 8; }

template <class K>
void encode(Dtype t, const void* from, int64_t n, bool descending, bool zeros, K* keys) {
  const auto run = sort_kernels().encode[index_of(t)];
  chunks(n, 0.3, [&](int64_t at, int64_t count) {
    run(static_cast<const char*>(from) + at * size_of(t), count, descending ? -1 : 0, zeros,
        keys + at);
  });
}
template <class K>
void decode(Dtype t, const K* keys, int64_t n, bool descending, void* to) {
  const auto run = sort_kernels().decode[index_of(t)];
  chunks(n, 0.3, [&](int64_t at, int64_t count) {
    run(keys + at, count, descending ? -1 : 0, static_cast<char*>(to) + at * size_of(t));
  });
}

// Many keys are split, on all threads, until there are some parts for each; a sorted sequence is
// the same however it came about.
template <class K>
void sort_keys(K* keys, int64_t n) {
  const auto& k = sort_kernels().keys[width_of<K>];
  constexpr int64_t least = 1 << 15;
  const double ns = sizeof(K) * (n < 4096 ? 0.6 : 1.2);
  if (n < 2 * least || cpu::num_threads() == 1) return k.sort(keys, n);
  struct Part {
    int64_t from, n, below = 0;
  };
  std::vector<Part> parts{{0, n}}, next;
  const size_t wanted = size_t(cpu::num_threads()) * 4;
  bool grows = true;
  while (grows && parts.size() < wanted) {
    grows = false;
    cpu::parallel_for(int64_t(parts.size()), [&](int64_t i) {
      Part& part = parts[size_t(i)];
      part.below = 0;
      if (part.n < 2 * least) return;
      K sample[63];
      for (int64_t s = 0; s < 63; ++s)
        sample[s] = keys[part.from + int64_t((unsigned __int128)(part.n) *
                                             (uint64_t(s + 1) * 0x9e3779b97f4a7c15u) >> 64)];
      std::sort(sample, sample + 63);
      part.below = k.split(keys + part.from, part.n, int64_t(sample[31]));
    }, double(n) * 0.5);
    next.clear();
    for (const Part& part : parts) {
      if (part.below > 0 && part.below < part.n) {
        next.push_back({part.from, part.below});
        next.push_back({part.from + part.below, part.n - part.below});
        grows = true;
      } else {
        next.push_back(part);
      }
    }
    parts.swap(next);
  }
  cpu::parallel_for(int64_t(parts.size()), [&](int64_t i) {
    k.sort(keys + parts[size_t(i)].from, parts[size_t(i)].n);
  }, double(n) * ns);
}

// ---- complex numbers: compared part by part

struct ComplexKey {
  int64_t re, im, at;
  int nans;
  bool operator<(const ComplexKey& o) const {
    if (nans != o.nans) return nans < o.nans;
    if (re != o.re) return re < o.re;
    if (im != o.im) return im < o.im;
    return at < o.at;
  }
  bool equals(const ComplexKey& o) const { return nans == o.nans && re == o.re && im == o.im; }
};
std::vector<ComplexKey> complex_keys(Dtype t, const void* from, int64_t n, bool descending) {
  std::vector<ComplexKey> out(static_cast<size_t>(n));
  const auto put = [&](const auto* keys) {
    const auto nan = t == complex64 ? int64_t(0x7fc00000) : int64_t(0x7ff8000000000000);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t re = int64_t(keys[2 * i]), im = int64_t(keys[2 * i + 1]);
      const int nans = (re == nan) * 2 + (im == nan);
      out[size_t(i)] = descending ? ComplexKey{~re, ~im, i, -nans} : ComplexKey{re, im, i, nans};
    }
  };
  if (t == complex64) {
    Scratch<int32_t> keys(2 * n);
    encode(float32, from, 2 * n, false, true, keys.data());
    put(keys.data());
  } else {
    Scratch<int64_t> keys(2 * n);
    encode(float64, from, 2 * n, false, true, keys.data());
    put(keys.data());
  }
  return out;
}
std::vector<ComplexKey> sorted_complex(Dtype t, const void* from, int64_t n, bool descending) {
  auto keys = complex_keys(t, from, n, descending);
  std::sort(keys.begin(), keys.end());
  return keys;
}
void take_complex(Dtype t, const void* from, const std::vector<ComplexKey>& keys, size_t first,
                  size_t count, void* to) {
  const size_t bytes = size_t(size_of(t));
  for (size_t i = 0; i < count; ++i)
    std::memcpy(static_cast<char*>(to) + i * bytes,
                static_cast<const char*>(from) + size_t(keys[first + i].at) * bytes, bytes);
}

// ---- one line: sorted

// Few different keys are counted.
template <class T>
void sort_by_counting(const T* from, int64_t n, int lowest, int different, bool descending, T* to) {
  std::vector<int64_t> counts(size_t(different) * 4, 0);
  int64_t* c = counts.data();
  int64_t i = 0;
  for (; i + 4 <= n; i += 4)  // apart, since equal neighbours would wait for each other
    for (int k = 0; k < 4; ++k) ++c[k * different + (int(from[i + k]) - lowest)];
  for (; i < n; ++i) ++c[int(from[i]) - lowest];
  T* at = to;
  for (int k = 0; k < different; ++k) {
    const int v = descending ? different - 1 - k : k;
    const int64_t count =
        c[v] + c[v + different] + c[v + 2 * different] + c[v + 3 * different];
    std::fill_n(at, count, T(v + lowest));
    at += count;
  }
}

constexpr int64_t count_bytes_from = 128, count_shorts_from = 1 << 17;

void sort_line(Dtype t, const void* from, int64_t n, bool descending, void* to) {
  if (is_complex(t))
    return take_complex(t, from, sorted_complex(t, from, n, descending), 0, size_t(n), to);
  if (size_of(t) == 8) {
    auto* keys = static_cast<int64_t*>(to);
    encode(t, from, n, descending, false, keys);
    sort_keys(keys, n);
    return decode(t, keys, n, descending, to);
  }
  if (size_of(t) == 4) {
    auto* keys = static_cast<int32_t*>(to);
    encode(t, from, n, descending, false, keys);
    sort_keys(keys, n);
    return decode(t, keys, n, descending, to);
  }
  if (size_of(t) == 1 && n >= count_bytes_from) {
    if (t == int8)
      return sort_by_counting(static_cast<const int8_t*>(from), n, -128, 256, descending,
                              static_cast<int8_t*>(to));
    return sort_by_counting(static_cast<const uint8_t*>(from), n, 0, 256, descending,
                            static_cast<uint8_t*>(to));
  }
  Scratch<int32_t> room(n);
  int32_t* keys = room.data();
  encode(t, from, n, descending, false, keys);
  if (n >= count_shorts_from) {
    const int lowest = t == uint16 && !descending ? 0 : t == uint16 ? -65536 : -32768;
    Scratch<int32_t> sorted(n);
    sort_by_counting<int32_t>(keys, n, lowest, 65536, false, sorted.data());
    return decode(t, sorted.data(), n, descending, to);
  }
  sort_keys(keys, n);
  decode(t, keys, n, descending, to);
}

// ---- one line: its order

// Pairs of the upper halves of keys and their numbers are sorted; where these are equal, the lower
// halves decide.
void settle_low_halves(const int64_t* keys, int64_t n, int64_t* pairs) {
  for (int64_t i = 0; i < n;) {
    int64_t end = i + 1;
    while (end < n && (pairs[end] ^ pairs[i]) >> 32 == 0) ++end;
    if (const int64_t count = end - i; count > 1) {
      const int64_t top = pairs[i] & ~int64_t(0xffffffff);
      bool differ = false;
      for (int64_t k = i; k < end; ++k) {
        const uint64_t number = uint32_t(pairs[k]), low = uint32_t(keys[number]) ^ 0x80000000u;
        pairs[k] = int64_t(low << 32 | number);
        differ |= (pairs[k] ^ pairs[i]) >> 32 != 0;
      }
      if (count == 2) {
        if (pairs[i + 1] < pairs[i]) std::swap(pairs[i], pairs[i + 1]);
      } else if (differ) {
        sort_keys(pairs + i, count);
      }
      for (int64_t k = i; k < end; ++k) pairs[k] = top | int64_t(uint32_t(pairs[k]));
    }
    i = end;
  }
}

template <class I>
void write_numbers(const int64_t* pairs, int64_t n, I* to) {
  if constexpr (sizeof(I) == 4) {
    chunks(n, 0.3, [&](int64_t at, int64_t count) {
      sort_kernels().numbers(pairs + at, count, to + at);
    });
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = I(uint32_t(pairs[i]));
  }
}

// The order of lines whose numbers have more than 32 bits.
template <class K, class I>
void order_of_many(const K* keys, int64_t n, I* to) {
  std::iota(to, to + n, I(0));
  std::stable_sort(to, to + n, [keys](I a, I b) { return keys[a] < keys[b]; });
}

template <class I>
void argsort_line(Dtype t, const void* from, int64_t n, bool descending, I* to) {
  const SortKernels& k = sort_kernels();
  if (is_complex(t)) {
    const auto keys = sorted_complex(t, from, n, descending);
    for (int64_t i = 0; i < n; ++i) to[i] = I(keys[size_t(i)].at);
    return;
  }
  const bool many = n > int64_t(1) << 32;
  if (has_wide_keys(t)) {
    Scratch<int64_t> room(n);
    int64_t* keys = room.data();
    encode(t, from, n, descending, true, keys);
    if (many) return order_of_many(keys, n, to);
    Scratch<int64_t> pairs(n);
    chunks(n, 0.4, [&](int64_t at, int64_t count) {
      k.number_high(keys + at, count, at, pairs.data() + at);
    });
    sort_keys(pairs.data(), n);
    settle_low_halves(keys, n, pairs.data());
    return write_numbers(pairs.data(), n, to);
  }
  Scratch<int32_t> room(n);
  int32_t* keys = room.data();
  encode(t, from, n, descending, true, keys);
  if (many) return order_of_many(keys, n, to);
  if (size_of(t) == 1 && n >= count_bytes_from) {
    int64_t next[513] = {};
    for (int64_t i = 0; i < n; ++i) ++next[keys[i] + 256 + 1];
    for (int v = 0; v < 512; ++v) next[v + 1] += next[v];
    for (int64_t i = 0; i < n; ++i) to[next[keys[i] + 256]++] = I(i);
    return;
  }
  const int bits = size_of(t) == 1 ? 9 : 17;  // of a key: unsigned ones in reverse have a sign
  if constexpr (sizeof(I) == 4)
    if (size_of(t) <= 2 && n <= int64_t(1) << (32 - bits)) {
      k.number_short(keys, n, 32 - bits, keys);
      sort_keys(keys, n);
      return k.numbers_short(keys, n, 32 - bits, to);
    }
  Scratch<int64_t> pairs(n);
  chunks(n, 0.4, [&](int64_t at, int64_t count) {
    k.number(keys + at, count, at, pairs.data() + at);
  });
  sort_keys(pairs.data(), n);
  write_numbers(pairs.data(), n, to);
}

// ---- one line: parts

// Those of `values` (or numbers, where there are none) whose keys are below the pivot, then those
// of its equals, then the others.
template <class K>
void write_parts(const K* keys, int64_t n, K pivot, const K* values, K* to) {
  const auto& k = sort_kernels().keys[width_of<K>];
  std::vector<std::array<int64_t, 3>> counts(size_t((n + chunk_step - 1) / chunk_step));
  chunks(n, 0.1, [&](int64_t at, int64_t some) {
    auto& [below, equal, above] = counts[size_t(at / chunk_step)];
    k.count(keys + at, some, int64_t(pivot), &below, &equal);
    above = some - below - equal;
  });
  std::array<int64_t, 3> next{};
  for (const auto& chunk : counts) next[1] += chunk[0], next[2] += chunk[0] + chunk[1];
  std::vector<std::array<int64_t, 3>> from(counts.size());
  for (size_t c = 0; c < counts.size(); ++c) {
    from[c] = next;
    for (size_t part = 0; part < 3; ++part) next[part] += counts[c][part];
  }
  chunks(n, 0.5, [&](int64_t at, int64_t some) {
    const size_t c = size_t(at / chunk_step);
    PartCall call{keys + at, some, int64_t(pivot), values ? values + at : nullptr, at, {}, {}};
    for (size_t part = 0; part < 3; ++part) {
      call.to[part] = to + from[c][part];
      call.counts[part] = counts[c][part];
    }
    k.part(call);
  });
}
// write(keys, pivot) with the keys of a line and the one that would stand at kth.
template <class K, class F>
void with_pivot(Dtype t, const void* from, int64_t n, int64_t kth, F&& write) {
  Scratch<K> room(n), copy(n);
  encode(t, from, n, false, true, room.data());
  std::memcpy(copy.data(), room.data(), size_t(n) * sizeof(K));
  write(room.data(), K(sort_kernels().keys[width_of<K>].select(copy.data(), n, kth)));
}
template <class I>
void argpartition_line(Dtype t, const void* from, int64_t n, int64_t kth, I* to) {
  if (is_complex(t)) return argsort_line(t, from, n, false, to);
  auto write = [&]<class K>(const K* keys, K pivot) {
    const K* const numbers = nullptr;
    if constexpr (sizeof(I) == sizeof(K)) {
      write_parts(keys, n, pivot, numbers, reinterpret_cast<K*>(to));
    } else if constexpr (sizeof(K) == 8) {
      Scratch<int64_t> found(n);
      write_parts(keys, n, pivot, numbers, found.data());
      write_numbers(found.data(), n, to);
    } else {  // numbers are wider than keys
      Scratch<int64_t> wide(n);
      std::copy(keys, keys + n, wide.data());
      write_parts<int64_t>(wide.data(), n, pivot, nullptr, to);
    }
  };
  if (has_wide_keys(t)) with_pivot<int64_t>(t, from, n, kth, write);
  else with_pivot<int32_t>(t, from, n, kth, write);
}
template <class T>
void partition_line(Dtype t, const T* from, int64_t n, int64_t kth, T* to) {
  if constexpr (sizeof(T) >= 4) {  // as wide as its key
    using K = std::make_signed_t<T>;
    with_pivot<K>(t, from, n, kth, [&](const K* keys, K pivot) {
      write_parts(keys, n, pivot, reinterpret_cast<const K*>(from), reinterpret_cast<K*>(to));
    });
  } else {
    Scratch<uint32_t> numbers(n);
    argpartition_line(t, from, n, kth, numbers.data());
    for (int64_t i = 0; i < n; ++i) to[i] = from[numbers.data()[i]];
  }
}
void partition_line(Dtype t, const void* from, int64_t n, int64_t kth, void* to) {
  if (is_complex(t))
    return take_complex(t, from, sorted_complex(t, from, n, false), 0, size_t(n), to);
  auto of = [&]<class T>() {
    partition_line(t, static_cast<const T*>(from), n, kth, static_cast<T*>(to));
  };
  switch (size_of(t)) {
    case 1: return of.template operator()<uint8_t>();
    case 2: return of.template operator()<uint16_t>();
    case 4: return of.template operator()<uint32_t>();
    default: return of.template operator()<uint64_t>();
  }
}

template <class K>
void largest(Dtype t, const void* from, int64_t n, int64_t count, void* to) {
  Scratch<K> room(n);
  K* keys = room.data();
  encode(t, from, n, false, false, keys);
  if (count < n) sort_kernels().keys[width_of<K>].select(keys, n, n - count);
  sort_keys(keys + n - count, count);
  decode(t, keys + n - count, count, false, to);
}
void topk_line(Dtype t, const void* from, int64_t n, int64_t count, void* to) {
  if (is_complex(t))
    return take_complex(t, from, sorted_complex(t, from, n, false), size_t(n - count),
                        size_t(count), to);
  if (has_wide_keys(t)) largest<int64_t>(t, from, n, count, to);
  else largest<int32_t>(t, from, n, count, to);
}

template <class K>
void middle(Dtype t, const void* from, int64_t n, void* low, void* high) {
  const auto& k = sort_kernels().keys[width_of<K>];
  Scratch<K> room(n);
  K* keys = room.data();
  encode(t, from, n, false, false, keys);
  constexpr K nan = sizeof(K) == 4 ? K(0x7fc00000) : K(0x7ff8000000000000);
  int64_t numbers = 0, nans = 0;
  k.count(keys, n, int64_t(nan), &numbers, &nans);
  K ends[2] = {nan, nan};
  if (nans == 0) {
    ends[0] = ends[1] = K(k.select(keys, n, n / 2));
    if (n % 2 == 0) ends[0] = K(k.select(keys, n / 2, n / 2 - 1));  // of those below it
  }
  decode(t, &ends[0], 1, false, low);
  decode(t, &ends[1], 1, false, high);
}

// ---- all lines

// body(line, result): both dense. Lines whose elements lie apart are read in blocks of neighbours,
// each a line of the cache wide, and so are results written; no array is turned as a whole.
template <class F>
void for_lines(const Lines& lines, int64_t result_bytes, void* to, double ns, F&& body) {
  const int64_t bytes = size_of(lines.type), n = lines.length, m = lines.result_length;
  const size_t axes = lines.kept.size();
  const int64_t inner = axes ? lines.kept[axes - 1] : 1;
  const int64_t inner_stride = axes ? lines.kept_strides[axes - 1] : 0;
  const int64_t count = size_of(lines.kept);
  const bool gathers = lines.step != 1 && n > 1, scatters = lines.to_step != 1 && m > 1;
  const int64_t per =
      gathers || scatters ? std::min<int64_t>(inner, std::max<int64_t>(64 / bytes, 4)) : 1;
  const int64_t blocks_of_row = (inner + per - 1) / per, blocks = count / inner * blocks_of_row;
  const cpu::MoveKernels& move = cpu::move_kernels();
  const int size = __builtin_ctzll(uint64_t(bytes)),
            to_size = __builtin_ctzll(uint64_t(result_bytes));

  auto run = [&](int64_t block, char* gathered, char* results) {
    int64_t row = block / blocks_of_row;
    const int64_t first = block % blocks_of_row * per, wide = std::min(per, inner - first);
    // Where the block begins, in the array and in the result: lines before it along the axes in
    // front of the axis take `to_step * m` each.
    const int64_t line = row * inner + first;
    int64_t at = first * inner_stride;
    for (size_t d = axes; d-- > 1;) {
      at += row % lines.kept[d - 1] * lines.kept_strides[d - 1];
      row /= lines.kept[d - 1];
    }
    const char* from = static_cast<const char*>(lines.from) + at * bytes;
    char* out = static_cast<char*>(to) +
                (line / lines.to_step * lines.to_step * m + line % lines.to_step) * result_bytes;
    if (gathers && inner_stride == 1 && size < 4) {
      move.turn[size](gathered, n, from, lines.step, wide, n);
    } else if (gathers) {
      for (int64_t j = 0; j < wide; ++j)
        cpu::gather(bytes, gathered + j * n * bytes, from + j * inner_stride * bytes, {n},
                    {lines.step}, 0, n);
    }
    for (int64_t j = 0; j < wide; ++j)
      body(gathers ? gathered + j * n * bytes : from + j * inner_stride * bytes,
           scatters ? results + j * m * result_bytes
                    : out + j * (lines.to_step == 1 ? m : 1) * result_bytes);
    if (!scatters) return;
    // A block may not cross what lies behind the axis: it is part of the innermost kept axis.
    if (to_size < 4) {
      move.turn[to_size](out, lines.to_step, results, m, m, wide);
    } else {
      for (int64_t j = 0; j < wide; ++j)
        cpu::scatter(result_bytes, results + j * m * result_bytes, out + j * result_bytes, {m},
                     {lines.to_step}, 0, m);
    }
  };
  const double cost = double(count) * double(n) * ns;
  auto some = [&](int64_t from, int64_t end) {
    Scratch<char> gathered(gathers ? per * n * bytes : 0);
    Scratch<char> results(scatters ? per * m * result_bytes : 0);
    for (int64_t block = from; block < end; ++block) run(block, gathered.data(), results.data());
  };
  // A few long lines are worked on by all threads together, one after the other.
  const bool long_ones = n >= 1 << 17 && blocks < 4 * cpu::num_threads();
  const int64_t step = std::max<int64_t>(1, grain / 2 / (per * n));
  if (long_ones || blocks <= step) return some(0, blocks);
  cpu::parallel_for((blocks + step - 1) / step, [&](int64_t c) {
    some(c * step, std::min(blocks, (c + 1) * step));
  }, cost);
}

// Many short lines: as many side by side as stay in the first-level cache, each place of theirs a
// column of keys.
constexpr int64_t short_line = 16, lines_together = 128;

// Of axes whose elements follow each other in the array and in the result.
Lines joined(Lines lines) {
  size_t first = lines.kept.size();  // of those that may be one
  if (lines.to_step == 1) first = 0;
  else
    for (int64_t n = 1; n < lines.to_step;) n *= lines.kept[--first];
  Shape shape(lines.kept.begin() + first, lines.kept.end());
  SmallVector<Strides, 4> strides{Strides(lines.kept_strides.begin() + first,
                                          lines.kept_strides.end())};
  collapse(shape, strides);
  lines.kept.resize(first);
  lines.kept_strides.resize(first);
  lines.kept.append(shape.begin(), shape.end());
  lines.kept_strides.append(strides[0].begin(), strides[0].end());
  return lines;
}

// make(elements, count, place, keys) of neighbours; put(keys, count, results) of the columns that
// are results: the last ones.
template <class K, class Make, class Put>
void sort_short_lines(const Lines& given, int64_t result_bytes, void* to, const Make& make,
                      const Put& put) {
  const Lines lines = joined(given);
  const int64_t bytes = size_of(lines.type), n = lines.length, m = lines.result_length,
                count = size_of(lines.kept);
  const size_t last = lines.kept.size() - 1;
  const int64_t inner = lines.kept[last], beside = lines.kept_strides[last],
                blocks_of_row = (inner + lines_together - 1) / lines_together;
  auto run = [&](int64_t block, K* keys, char* some) {
    int64_t row = block / blocks_of_row;
    const int64_t first = block % blocks_of_row * lines_together,
                  wide = std::min(lines_together, inner - first), line = row * inner + first,
                  room = (wide + 15) / 16 * 16;
    int64_t at = first * beside;
    for (size_t d = last; d-- > 0; row /= lines.kept[d])
      at += row % lines.kept[d] * lines.kept_strides[d];
    const char* from = static_cast<const char*>(lines.from) + at * bytes;
    for (int64_t k = 0; k < n; ++k, from += lines.step * bytes) {
      K* const column = keys + k * room;
      if (beside != 1) cpu::gather(bytes, some, from, {wide}, {beside}, 0, wide);
      make(beside == 1 ? from : some, wide, k, column);
      std::fill(column + wide, column + room, K(0));
    }
    sort_kernels().keys[width_of<K>].sort_lines(keys, room, n);
    char* out = static_cast<char*>(to) + (line / lines.to_step * lines.to_step * m +
                                          line % lines.to_step) * result_bytes;
    const bool follow = lines.to_step != 1;  // results of lines follow each other
    for (const K* column = keys + (n - m) * room; column < keys + n * room; column += room) {
      put(column, wide, follow ? out : some);
      if (!follow) cpu::scatter(result_bytes, some, out, {wide}, {m}, 0, wide);
      out += lines.to_step * result_bytes;
    }
  };
  const int64_t blocks = count / inner * blocks_of_row,
                step = std::max<int64_t>(1, grain / 2 / (std::min(inner, lines_together) * n));
  cpu::parallel_for((blocks + step - 1) / step, [&](int64_t c) {
    Scratch<K> keys(n * lines_together);
    Scratch<char> some(lines_together * std::max(bytes, result_bytes));
    for (int64_t block = c * step; block < std::min(blocks, (c + 1) * step); ++block)
      run(block, keys.data(), some.data());
  }, double(count) * double(n) * 2);
}
bool are_short(const Lines& lines) {
  return lines.length <= short_line && !is_complex(lines.type) && !lines.kept.empty();
}

template <class K>
void sort_short(const Lines& lines, bool descending, void* to) {
  sort_short_lines<K>(
      lines, size_of(lines.type), to,
      [&](const char* from, int64_t n, int64_t, K* keys) {
        encode(lines.type, from, n, descending, false, keys);
      },
      [&](const K* keys, int64_t n, char* out) { decode(lines.type, keys, n, descending, out); });
}
void sort_short(const Lines& lines, bool descending, void* to) {
  if (has_wide_keys(lines.type)) sort_short<int64_t>(lines, descending, to);
  else sort_short<int32_t>(lines, descending, to);
}
// Keys of 32 bits, with their places below them.
template <class I>
void argsort_short(const Lines& lines, bool descending, void* to) {
  sort_short_lines<int64_t>(
      lines, sizeof(I), to,
      [&](const char* from, int64_t n, int64_t place, int64_t* keys) {
        int32_t upper[lines_together];
        encode(lines.type, from, n, descending, true, upper);
        for (int64_t i = 0; i < n; ++i)
          keys[i] = int64_t(uint64_t(int64_t(upper[i])) << 32) | place;
      },
      [&](const int64_t* keys, int64_t n, char* out) {
        for (int64_t i = 0; i < n; ++i) reinterpret_cast<I*>(out)[i] = I(uint32_t(keys[i]));
      });
}

double cost_of(const Lines& lines, double each) {
  int digits = 4;
  while (digits < 40 && int64_t(1) << digits < lines.length) ++digits;
  return each * digits;
}

}  // namespace

Lines lines_of(const void* from, Dtype type, const Shape& shape, const Strides& strides, int axis,
               int64_t result_length) {
  Lines out{type, from, shape[axis], strides[axis], {}, {}, 1, result_length};
  for (int d = 0; d < int(shape.size()); ++d) {
    if (d == axis) continue;
    out.kept.push_back(shape[d]);
    out.kept_strides.push_back(strides[d]);
    if (d > axis) out.to_step *= shape[d];
  }
  return out;
}

void sort_lines(const Lines& lines, bool descending, void* to) {
  if (are_short(lines)) return sort_short(lines, descending, to);
  for_lines(lines, size_of(lines.type), to, cost_of(lines, 0.3), [&](const void* x, void* y) {
    sort_line(lines.type, x, lines.length, descending, y);
  });
}
void argsort_lines(const Lines& lines, bool descending, bool wide, void* to) {
  if (are_short(lines) && !has_wide_keys(lines.type))
    return wide ? argsort_short<int64_t>(lines, descending, to)
                : argsort_short<uint32_t>(lines, descending, to);
  for_lines(lines, wide ? 8 : 4, to, cost_of(lines, 0.7), [&](const void* x, void* y) {
    if (wide) argsort_line(lines.type, x, lines.length, descending, static_cast<int64_t*>(y));
    else argsort_line(lines.type, x, lines.length, descending, static_cast<uint32_t*>(y));
  });
}
void partition_lines(const Lines& lines, int64_t kth, void* to) {
  for_lines(lines, size_of(lines.type), to, 4, [&](const void* x, void* y) {
    partition_line(lines.type, x, lines.length, kth, y);
  });
}
void argpartition_lines(const Lines& lines, int64_t kth, bool wide, void* to) {
  for_lines(lines, wide ? 8 : 4, to, 4, [&](const void* x, void* y) {
    if (wide) argpartition_line(lines.type, x, lines.length, kth, static_cast<int64_t*>(y));
    else argpartition_line(lines.type, x, lines.length, kth, static_cast<uint32_t*>(y));
  });
}
void topk_lines(const Lines& lines, void* to) {
  if (are_short(lines)) return sort_short(lines, false, to);
  for_lines(lines, size_of(lines.type), to, 1.5, [&](const void* x, void* y) {
    topk_line(lines.type, x, lines.length, lines.result_length, y);
  });
}

namespace {

template <class I>
void search_complex(Dtype t, const void* sorted, int64_t n, const void* values, int64_t count,
                    bool right, I* to) {
  auto keys = complex_keys(t, sorted, n, false);
  auto wanted = complex_keys(t, values, count, false);
  for (auto& k : keys) k.at = 0;
  for (int64_t i = 0; i < count; ++i) {
    ComplexKey& v = wanted[size_t(i)];
    v.at = right ? 1 : 0;
    to[i] = I(std::lower_bound(keys.begin(), keys.end(), v) - keys.begin());
  }
}

template <class K, class I>
void search_keys(Dtype t, const void* sorted, int64_t rows, int64_t n, const void* values,
                 int64_t count, bool right, I* to) {
  Scratch<K> room(rows * n);
  encode(t, sorted, rows * n, false, true, room.data());
  constexpr int64_t step = 2048;
  const int64_t steps = (count + step - 1) / step;
  const SortKernels& k = sort_kernels();
  cpu::parallel_for(rows * steps, [&](int64_t task) {
    const int64_t row = task / steps, from = task % steps * step,
                  some = std::min(step, count - from), at = row * count + from;
    K wanted[step];
    int64_t found[step];
    k.encode[index_of(t)](static_cast<const char*>(values) + at * size_of(t), some, 0, true,
                          wanted);
    k.keys[width_of<K>].search(room.data() + row * n, n, wanted, some, right, found);
    for (int64_t i = 0; i < some; ++i) to[at + i] = I(found[i]);
  }, double(rows) * double(count) * 8);
}

template <class I>
void search(Dtype t, const void* sorted, int64_t rows, int64_t n, const void* values,
            int64_t count, bool right, I* to) {
  const int64_t bytes = size_of(t);
  if (is_complex(t)) {
    for (int64_t r = 0; r < rows; ++r)
      search_complex(t, static_cast<const char*>(sorted) + r * n * bytes, n,
                     static_cast<const char*>(values) + r * count * bytes, count, right,
                     to + r * count);
  } else if (has_wide_keys(t)) {
    search_keys<int64_t>(t, sorted, rows, n, values, count, right, to);
  } else {
    search_keys<int32_t>(t, sorted, rows, n, values, count, right, to);
  }
}

}  // namespace

namespace {

// Of many short lines, as columns side by side.
template <class K>
void short_middles(Dtype t, const char* from, int64_t n, int64_t count, char* low, char* high) {
  constexpr K nan = sizeof(K) == 4 ? K(0x7fc00000) : K(0x7ff8000000000000);
  K dense[short_line * lines_together], keys[short_line * lines_together];
  const int64_t bytes = size_of(t);
  for (int64_t line = 0; line < count; line += lines_together) {
    const int64_t wide = std::min(lines_together, count - line), room = (wide + 15) / 16 * 16;
    encode(t, from + line * n * bytes, wide * n, false, false, dense);
    for (int64_t k = 0; k < n; ++k) {
      K* const column = keys + k * room;
      for (int64_t j = 0; j < wide; ++j) column[j] = dense[j * n + k];
      std::fill(column + wide, column + room, K(0));
    }
    sort_kernels().keys[width_of<K>].sort_lines(keys, room, n);
    const K *const first = keys + (n - 1) / 2 * room, *const second = keys + n / 2 * room,
                  *const last = keys + (n - 1) * room;
    for (int64_t j = 0; j < wide; ++j) {
      dense[j] = last[j] >= nan ? nan : first[j];
      dense[lines_together + j] = last[j] >= nan ? nan : second[j];
    }
    decode(t, dense, wide, false, low + line * bytes);
    decode(t, dense + lines_together, wide, false, high + line * bytes);
  }
}

template <class K>
void middles(Dtype t, const char* from, int64_t n, int64_t count, char* low, char* high) {
  if (n <= short_line && count > 1) return short_middles<K>(t, from, n, count, low, high);
  const int64_t bytes = size_of(t);
  for (int64_t line = 0; line < count; ++line)
    middle<K>(t, from + line * n * bytes, n, low + line * bytes, high + line * bytes);
}

}  // namespace

void middles_of_lines(Dtype t, const void* from, int64_t n, int64_t count, void* low,
                      void* high) {
  const auto* x = static_cast<const char*>(from);
  auto *const a = static_cast<char*>(low), *const b = static_cast<char*>(high);
  if (t == float32) middles<int32_t>(t, x, n, count, a, b);
  else middles<int64_t>(t, x, n, count, a, b);
}

namespace {

// `differs(i, k)`: of the elements at i and at k, in order.
template <class F>
int64_t write_distinct(const uint32_t* order, int64_t n, const Distinct& to, F&& differs) {
  int64_t found = 0, begin = 0;
  auto end_at = [&](int64_t end) {
    if (to.counts && found <= to.room && found > 0) to.counts[found - 1] = int32_t(end - begin);
    begin = end;
  };
  for (int64_t i = 0; i < n; ++i) {
    if (i == 0 || differs(order[i - 1], order[i])) {
      end_at(i);
      if (to.first && found < to.room) to.first[found] = order[i];
      ++found;
    }
    if (to.inverse) to.inverse[order[i]] = uint32_t(found - 1);
  }
  end_at(n);
  for (int64_t i = found; i < to.room; ++i) {
    if (to.first) to.first[i] = n ? order[0] : 0;
    if (to.counts) to.counts[i] = 0;
  }
  return found;
}
template <class K>
int64_t distinct_keys(Dtype t, const void* from, const uint32_t* order, int64_t n, bool equal_nan,
                      const Distinct& to) {
  Scratch<K> room(n);
  const K* keys = room.data();
  encode(t, from, n, false, true, room.data());
  // Keys of a nan, which no number has.
  const K nan = !is_floating(t)     ? K(0)
                : t == float16      ? K(0x7e00)
                : t == bfloat16     ? K(0x7fc0)
                : t == float32      ? K(0x7fc00000)
                                    : K(0x7ff8000000000000);
  if (!is_floating(t) || equal_nan)
    return write_distinct(order, n, to, [=](uint32_t a, uint32_t b) { return keys[a] != keys[b]; });
  return write_distinct(order, n, to, [=](uint32_t a, uint32_t b) {
    return keys[a] != keys[b] || keys[b] == nan;
  });
}

}  // namespace

int64_t distinct_elements(Dtype t, const void* from, int64_t n, bool equal_nan,
                          const Distinct& to) {
  Scratch<uint32_t> room(n);
  uint32_t* order = room.data();
  if (is_complex(t)) {
    const auto keys = sorted_complex(t, from, n, false);
    std::vector<const ComplexKey*> at(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) {
      order[i] = uint32_t(keys[size_t(i)].at);
      at[order[i]] = &keys[size_t(i)];
    }
    return write_distinct(order, n, to, [&](uint32_t a, uint32_t b) {
      if (at[a]->nans && at[b]->nans) return !equal_nan;
      return !at[a]->equals(*at[b]);
    });
  }
  argsort_line(t, from, n, false, order);
  return has_wide_keys(t) ? distinct_keys<int64_t>(t, from, order, n, equal_nan, to)
                          : distinct_keys<int32_t>(t, from, order, n, equal_nan, to);
}

void search_rows(Dtype t, const void* sorted, int64_t rows, int64_t n, const void* values,
                 int64_t count, bool right, bool wide, void* to) {
  if (wide) search(t, sorted, rows, n, values, count, right, static_cast<int64_t*>(to));
  else search(t, sorted, rows, n, values, count, right, static_cast<uint32_t*>(to));
}

}  // namespace lazulite::engine
