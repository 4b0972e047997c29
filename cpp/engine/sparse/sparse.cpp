#include "engine/sparse/sparse.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "base/fail.h"
#include "base/shape.h"
#include "device/cpu/level.h"
#include "device/cpu/pool.h"
#include "device/device.h"
#include "device/limits.h"
#include "engine/sparse/kernels.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const SparseTable&, sparse_kernels)

namespace {

int64_t parts(int64_t n, int64_t each) { return (n + each - 1) / each; }

template <class F>
void with_index(Dtype type, F&& f) {
  if (type == int64) f.template operator()<int64_t>();
  else f.template operator()<int32_t>();
}
// The element type of a real dtype and the type in which it is summed.
template <class F>
void with_number(Dtype type, F&& f) {
  dispatch(type, [&]<class T>() {
    if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>)
      f.template operator()<T, float>();
    else if constexpr (std::is_floating_point_v<T>) f.template operator()<T, T>();
    else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
      f.template operator()<T, uint64_t>();  // wraps
  });
}

// indptr alone.
template <class I>
void check_begins(const I* indptr, int64_t rows, int64_t count, const char* caller) {
  bool fits = indptr[0] == 0 && int64_t(indptr[rows]) <= count;
  for (int64_t i = 0; i < rows; ++i) fits &= indptr[i] <= indptr[i + 1];
  if (fits) return;
  if (indptr[0] != 0)
    fail(Kind::value, caller, "indptr does not begin with 0: got ", int64_t(indptr[0]));
  for (int64_t i = 0; i < rows; ++i)
    if (indptr[i] > indptr[i + 1])
      fail(Kind::value, caller, "indptr goes down: got ", int64_t(indptr[i]), " and then ",
           int64_t(indptr[i + 1]), " at ", i);
  fail(Kind::value, caller, "indptr ends behind the last of the indices: got ",
       int64_t(indptr[rows]), " elements, expected ", count, " at most");
}

// Indices `from` to `until`, of which none may be below 0 or reach `size`.
template <class I>
void check_numbers(const I* indices, int64_t from, int64_t until, int64_t size,
                   const char* caller) {
  using U = std::make_unsigned_t<I>;
  // A number below 0, and the last one that may be less a larger one, have the highest bit. In
  // registers of 16 bytes, which every machine has: this is compiled for all levels at once.
  const U last = U(std::min<int64_t>(size - 1, std::numeric_limits<I>::max()));
  typedef U Some __attribute__((vector_size(16)));
  constexpr int64_t n = 16 / sizeof(U);
  Some bits[2] = {};
  int64_t at = from;
  for (; at + 2 * n <= until; at += 2 * n)
    for (int k = 0; k < 2; ++k) {
      Some x;
      std::memcpy(&x, indices + at + k * n, sizeof x);
      bits[k] |= x | (last - x);
    }
  U all = 0;
  for (int64_t k = 0; k < n; ++k) all |= bits[0][k] | bits[1][k];
  for (; at < until; ++at) all |= U(indices[at]) | U(last - U(indices[at]));
  if (!(all >> (8 * sizeof(U) - 1))) return;
  for (int64_t i = from; i < until; ++i)
    if (indices[i] < 0 || int64_t(indices[i]) >= size)
      fail(Kind::index, caller, "index out of range: got ", int64_t(indices[i]),
           size ? ", expected 0 to " : ", expected none for an axis of size ",
           size ? size - 1 : size);
}

// Rows that a task takes: as many as are worth it, whatever is in them.
int64_t rows_of_task(int64_t rows, double work) {
  const double each = work / double(std::max<int64_t>(rows, 1));
  return std::max<int64_t>(1, int64_t(std::min(double(grain * 4) / std::max(each, 1.0), 1e15)));
}

// How many of the indices are of rows; the others are room that nobody reads.
int64_t used(const SparsePattern& p) {
  return p.type == int64 ? reinterpret_cast<const int64_t*>(p.indptr)[p.rows]
                         : reinterpret_cast<const int32_t*>(p.indptr)[p.rows];
}
// Zeros where a result has a value of `bytes` for each element of the room.
void clear_room(const SparsePattern& p, int64_t bytes, char* out) {
  const int64_t there = used(p);
  if (there < p.count)
    std::memset(out + there * bytes, 0, size_t((p.count - there) * bytes));
}

// body(first, until) over the rows of a pattern; those rows are looked at before.
template <class I, class F>
void over_rows(const SparsePattern& p, double work, double cost, const char* caller, F&& body) {
  const I* indptr = reinterpret_cast<const I*>(p.indptr);
  const I* indices = reinterpret_cast<const I*>(p.indices);
  check_begins(indptr, p.rows, p.count, caller);
  const int64_t each = rows_of_task(p.rows, work);
  cpu::parallel_for(
      parts(p.rows, each),
      [&](int64_t chunk) {
        // Few enough at a time that what was looked at is still near when it is used.
        constexpr int64_t near = 512;
        const int64_t last = std::min(p.rows, (chunk + 1) * each);
        for (int64_t first = chunk * each, until = first; first < last; first = until) {
          do ++until;
          while (until < last && int64_t(indptr[until + 1]) - int64_t(indptr[first]) <= near);
          check_numbers(indices, indptr[first], indptr[until], p.columns, caller);
          body(first, until);
        }
      },
      cost);
}

}  // namespace

void check_pattern(const SparsePattern& p, const char* caller) {
  with_index(p.type, [&]<class I>() {
    over_rows<I>(p, double(p.count + p.rows), double(p.count + p.rows), caller,
                 [](int64_t, int64_t) {});
  });
}

void sparse_product(const SparseProduct& p, const char* caller) {
  const auto run = sparse_kernels().of[int(p.type)].rows;
  const double work = double(p.pattern.count) * double(p.high * p.wide) * double(p.columns) +
                      double(p.pattern.rows) * double(p.high) * double(p.columns);
  with_index(p.pattern.type, [&]<class I>() {
    over_rows<I>(p.pattern, work, work * double(size_of(p.type)) / 30, caller,
                 [&](int64_t first, int64_t until) {
                   if (p.columns == 0 || p.high == 0) return;
                   run({.data = p.data,
                        .indices = p.pattern.indices,
                        .indptr = p.pattern.indptr,
                        .wide_indices = sizeof(I) == 8,
                        .first = first,
                        .until = until,
                        .high = p.high,
                        .wide = p.wide,
                        .b = p.b,
                        .step = p.step,
                        .end = p.end,
                        .columns = p.columns,
                        .out = p.out});
                 });
  });
}

void sampled_product(const SampledProduct& p, const char* caller) {
  const auto run = sparse_kernels().of[int(p.type)].sampled;
  const double work =
      double(p.pattern.count) * double(p.high * p.wide) * double(p.steps + 16);
  with_index(p.pattern.type, [&]<class I>() {
    over_rows<I>(p.pattern, work, work * double(size_of(p.type)) / 30, caller,
                 [&](int64_t first, int64_t until) {
                   run({.indices = p.pattern.indices,
                        .indptr = p.pattern.indptr,
                        .wide_indices = sizeof(I) == 8,
                        .first = first,
                        .until = until,
                        .high = p.high,
                        .wide = p.wide,
                        .a = p.a,
                        .b = p.b,
                        .steps = p.steps,
                        .out = p.out});
                 });
  });
  clear_room(p.pattern, p.high * p.wide * size_of(p.type), p.out);
}

void group_numbers(const char* numbers, Dtype type, int64_t all, const char* of, int64_t rows,
                   int64_t size, char* indptr, char* order, const char* caller) {
  with_index(type, [&]<class I>() {
    if (of) check_begins(reinterpret_cast<const I*>(of), rows, all, caller);
    const int64_t count = of ? int64_t(reinterpret_cast<const I*>(of)[rows]) : all;
    const I* in = reinterpret_cast<const I*>(numbers);
    I* begin = reinterpret_cast<I*>(indptr);
    I* out = reinterpret_cast<I*>(order);
    check_numbers(in, 0, count, size, caller);
    std::fill(begin, begin + size + 1, I(0));
    for (int64_t i = 0; i < count; ++i) ++begin[in[i] + 1];
    for (int64_t i = 0; i < size; ++i) begin[i + 1] += begin[i];
    std::vector<I> next(begin, begin + size);
    for (int64_t i = 0; i < count; ++i) out[next[size_t(in[i])]++] = I(i);
    for (int64_t i = count; i < all; ++i) out[i] = I(i);
  });
}

void rows_of_places(const char* indptr, Dtype type, int64_t rows, int64_t count, char* out,
                    const char* caller) {
  with_index(type, [&]<class I>() {
    const I* begin = reinterpret_cast<const I*>(indptr);
    I* to = reinterpret_cast<I*>(out);
    check_begins(begin, rows, count, caller);
    for (int64_t i = 0; i < rows; ++i) std::fill(to + begin[i], to + begin[i + 1], I(i));
    std::fill(to + begin[rows], to + count, I(std::max<int64_t>(rows, 1) - 1));
  });
}

// ---- sparse times sparse

namespace {

// A number for each column, zero at first: memory that is counted and limited as arrays' is.
template <class T>
class Area {
 public:
  Area(int64_t columns, const char* caller)
      : held_(allocate(product_of_sizes(columns, int64_t(sizeof(T)), caller))),
        numbers_(static_cast<T*>(held_->data)) {
    std::fill_n(numbers_, columns, T(0));
  }
  T& operator[](int64_t c) const { return numbers_[c]; }

 private:
  Ref<Buffer> held_;
  T* numbers_;
};

// Rows of a that one task takes, whose work area is as long as a row of b: few areas in all.
int64_t rows_of_area(int64_t rows, int64_t columns) {
  return std::max<int64_t>({1, parts(rows, 64), std::min(rows, columns / 64)});
}

// The columns of a row of a product: found in any order, read in theirs.
class Columns {
 public:
  Columns(int64_t columns, const char* caller)
      : words_(parts(columns, 64)), seen_(words_, caller) {}

  int64_t count() const { return int64_t(found_.size()); }

  template <class I>
  void find(const SparsePattern& a, const SparsePattern& b, int64_t i) {
    const I *ai = reinterpret_cast<const I*>(a.indices),
            *ap = reinterpret_cast<const I*>(a.indptr),
            *bi = reinterpret_cast<const I*>(b.indices),
            *bp = reinterpret_cast<const I*>(b.indptr);
    for (const int64_t c : found_) seen_[c / 64] = 0;
    found_.clear();
    for (int64_t p = ap[i]; p < int64_t(ap[i + 1]); ++p)
      for (int64_t q = bp[ai[p]]; q < int64_t(bp[ai[p] + 1]); ++q) {
        const int64_t c = bi[q];
        const uint64_t bit = uint64_t{1} << (c % 64);
        uint64_t& word = seen_[c / 64];
        if (word & bit) continue;
        word |= bit;
        found_.push_back(c);
      }
  }

  // Reads bits where they are many beside words, else sorts.
  template <class I>
  void write(I* to) {
    if (count() * 4 < words_) {
      std::sort(found_.begin(), found_.end());
      for (const int64_t c : found_) *to++ = I(c);
      return;
    }
    for (int64_t w = 0; w < words_; ++w)
      for (uint64_t bits = seen_[w]; bits; bits &= bits - 1)
        *to++ = I(w * 64 + __builtin_ctzll(bits));
  }

 private:
  const int64_t words_;
  const Area<uint64_t> seen_;  // a bit for each column
  std::vector<int64_t> found_;
};

// body(i, columns) of every row of the product.
template <class I, class F>
void over_product(const SparsePattern& a, const SparsePattern& b, const char* caller, F&& body) {
  check_pattern(a, caller);
  check_pattern(b, caller);
  const int64_t each = rows_of_area(a.rows, b.columns);
  const double both = double(a.count) * (double(b.count) / double(std::max<int64_t>(b.rows, 1)));
  cpu::parallel_for(
      parts(a.rows, each),
      [&](int64_t chunk) {
        Columns columns(b.columns, caller);
        for (int64_t i = chunk * each; i < std::min(a.rows, (chunk + 1) * each); ++i) {
          columns.find<I>(a, b, i);
          body(i, columns);
        }
      },
      both * 3 + double(a.rows) * 20);
}

}  // namespace

void count_product(const SparsePattern& a, const SparsePattern& b, char* indptr,
                   const char* caller) {
  with_index(a.type, [&]<class I>() {
    I* begin = reinterpret_cast<I*>(indptr);
    std::vector<int64_t> sizes(size_t(a.rows));
    over_product<I>(a, b, caller, [&](int64_t i, const Columns& columns) {
      sizes[size_t(i)] = columns.count();
    });
    int64_t all = 0;
    begin[0] = 0;
    for (int64_t i = 0; i < a.rows; ++i) {
      all += sizes[size_t(i)];
      if (int64_t(I(all)) != all)
        fail(Kind::overflow, caller, "too many elements for int32 indices: got ", all,
             " or more, expected below 2^31; int64 indices hold more");
      begin[i + 1] = I(all);
    }
  });
}

void fill_product(const SparsePattern& a, const SparsePattern& b, const char* indptr, int64_t count,
                  char* indices, const char* caller) {
  with_index(a.type, [&]<class I>() {
    const I* begin = reinterpret_cast<const I*>(indptr);
    I* to = reinterpret_cast<I*>(indices);
    if (int64_t(begin[a.rows]) > count)
      fail(Kind::value, caller, "the product has more elements than size: got ",
           int64_t(begin[a.rows]), ", expected ", count, " at most");
    check_begins(begin, a.rows, count, caller);
    std::fill(to + begin[a.rows], to + count, I(0));
    over_product<I>(a, b, caller, [&](int64_t i, Columns& columns) {
      if (columns.count() != int64_t(begin[i + 1]) - int64_t(begin[i]))
        fail(Kind::value, caller, "indptr is not that of the product: got ",
             int64_t(begin[i + 1]) - int64_t(begin[i]), " elements in row ", i, ", expected ",
             columns.count());
      columns.write(to + begin[i]);
    });
  });
}

namespace {

template <class I, class T, class Sum>
void product_rows(const SparseBySparse& p, int64_t first, int64_t until, const char* caller) {
  const I *ai = reinterpret_cast<const I*>(p.a.indices),
          *ap = reinterpret_cast<const I*>(p.a.indptr),
          *bi = reinterpret_cast<const I*>(p.b.indices),
          *bp = reinterpret_cast<const I*>(p.b.indptr),
          *ci = reinterpret_cast<const I*>(p.at.indices),
          *cp = reinterpret_cast<const I*>(p.at.indptr);
  const T *x = reinterpret_cast<const T*>(p.a_data), *y = reinterpret_cast<const T*>(p.b_data);
  T* out = reinterpret_cast<T*>(p.out);
  const Area<Sum> sums(p.b.columns, caller);
  for (int64_t i = first; i < until; ++i) {
    if (cp[i] == cp[i + 1]) continue;
    for (int64_t s = ap[i]; s < int64_t(ap[i + 1]); ++s) {
      const Sum by = Sum(x[s]);
      for (int64_t t = bp[ai[s]]; t < int64_t(bp[ai[s] + 1]); ++t)
        sums[bi[t]] += by * Sum(y[t]);
    }
    for (int64_t s = cp[i]; s < int64_t(cp[i + 1]); ++s) out[s] = T(sums[ci[s]]);
    for (int64_t s = ap[i]; s < int64_t(ap[i + 1]); ++s)
      for (int64_t t = bp[ai[s]]; t < int64_t(bp[ai[s] + 1]); ++t) sums[bi[t]] = Sum(0);
  }
}

}  // namespace

void product_at(const SparseBySparse& p, const char* caller) {
  check_pattern(p.a, caller);
  check_pattern(p.b, caller);
  check_pattern(p.at, caller);
  const int64_t each = rows_of_area(p.a.rows, p.b.columns);
  const double both =
      double(p.a.count) * (double(p.b.count) / double(std::max<int64_t>(p.b.rows, 1)));
  with_index(p.a.type, [&]<class I>() {
    with_number(p.type, [&]<class T, class Sum>() {
      cpu::parallel_for(
          parts(p.a.rows, each),
          [&](int64_t chunk) {
            product_rows<I, T, Sum>(p, chunk * each, std::min(p.a.rows, (chunk + 1) * each),
                                    caller);
          },
          both * 3 + double(p.at.count) * 2 + double(p.a.rows) * 20);
    });
  });
  clear_room(p.at, size_of(p.type), p.out);
}

}  // namespace lazulite::engine
