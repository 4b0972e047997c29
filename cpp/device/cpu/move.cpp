#include "device/cpu/move.h"

#include <algorithm>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace lazulite::cpu {

namespace {

template <class U>
constexpr int size_index = sizeof(U) == 1 ? 0 : sizeof(U) == 2 ? 1 : sizeof(U) == 4 ? 2 : 3;

// Element bytes only.
template <class U>
struct Mover {
  template <bool load>
  static void move(U* block, U* memory, const Shape& shape, const Strides& strides, int64_t start,
                   int64_t n) {
    const int last = int(shape.size()) - 1;
    if constexpr (load && sizeof(U) <= 8)
      if (last > 0 && is_simple(shape, strides))
        return load_matrices(block, memory, shape, strides, start, n);
    SmallVector<int64_t, 6> index;
    index.resize(shape.size());
    int64_t offset = 0, rest = start;
    for (int a = last; a >= 0; --a) {
      index[a] = rest % shape[a];
      rest /= shape[a];
      offset += index[a] * strides[a];
    }
    const int64_t step = strides[last];
    while (n > 0) {
      int64_t moved;
      int a = last;
      const bool whole_rows = last > 0 && index[last] == 0 && n >= 2 * shape[last];
      if (whole_rows && (step == 1 || shape[last] <= short_row)) {
        const int64_t rows = std::min(n / shape[last], shape[last - 1] - index[last - 1]);
        move_rows<load>(block, memory + offset, strides[last - 1], step, rows, shape[last]);
        moved = rows * shape[last];
        offset += rows * strides[last - 1];
        index[--a] += rows;
      } else {
        moved = std::min(n, shape[last] - index[last]);
        move_run<load>(block, memory + offset, step, moved);
        offset += moved * step;
        index[last] += moved;
      }
      block += moved;
      n -= moved;
      for (; a > 0 && index[a] == shape[a]; --a) {
        offset += strides[a - 1] - index[a] * strides[a];
        index[a] = 0;
        ++index[a - 1];
      }
    }
  }

  // The last two axes are rows that are all the same, elements that are repeated, or one run: they
  // need no walk from row to row, however short rows are.
  static bool is_simple(const Shape& shape, const Strides& strides) {
    const size_t last = shape.size() - 1;
    return (strides[last] == 1 && (strides[last - 1] == 0 || strides[last - 1] == shape[last])) ||
           (strides[last] == 0 && shape[last] < 256);
  }
  static void load_matrices(U* block, const U* memory, const Shape& shape, const Strides& strides,
                            int64_t start, int64_t n) {
    const int last = int(shape.size()) - 1;
    const int64_t columns = shape[last], size = shape[last - 1] * columns;
    SmallVector<int64_t, 6> index;
    index.resize(shape.size());
    int64_t rest = start / size, offset = 0;
    for (int a = last - 2; a >= 0; --a) {
      index[a] = rest % shape[a];
      rest /= shape[a];
      offset += index[a] * strides[a];
    }
    for (int64_t first = start % size; n > 0; first = 0) {
      const int64_t m = std::min(n, size - first);
      if (strides[last] == 0)
        load_repeated(block, memory + offset, strides[last - 1], columns, first, m);
      else if (strides[last - 1] == 0) load_periods(block, memory + offset, columns, first, m);
      else std::memcpy(block, memory + offset + first, size_t(m) * sizeof(U));
      block += m;
      n -= m;
      for (int a = last - 2; a >= 0; --a) {
        offset += strides[a];
        if (++index[a] < shape[a]) break;
        offset -= index[a] * strides[a];
        index[a] = 0;
      }
    }
  }
  // Elements [first, first + m) of row after row, all the same: what is there is doubled.
  static void load_periods(U* block, const U* row, int64_t columns, int64_t first, int64_t m) {
    first %= columns;
    int64_t done = std::min(m, columns - first);
    std::memcpy(block, row + first, size_t(done) * sizeof(U));
    const int64_t more = std::min(m - done, first);
    std::memcpy(block + done, row, size_t(more) * sizeof(U));
    for (done += more; done < m;) {
      const int64_t some = std::min(done, m - done);
      std::memcpy(block + done, block, size_t(some) * sizeof(U));
      done += some;
    }
  }
  static void load_repeated(U* block, const U* from, int64_t step, int64_t columns, int64_t first,
                            int64_t m) {
    const int64_t skipped = first % columns;
    from += first / columns * step;
    if (skipped) {
      const int64_t some = std::min(m, columns - skipped);
      std::fill(block, block + some, *from);
      block += some;
      m -= some;
      from += step;
    }
    const int64_t rows = m / columns;
    move_kernels().repeat[size_index<U>](block, from, step, rows, columns);
    std::fill(block + rows * columns, block + m, rows * columns < m ? from[rows * step] : U{});
  }

  // Rows of which each is one run, or short.
  template <bool load>
  static void move_rows(U* block, U* at, int64_t far_row, int64_t step, int64_t rows,
                        int64_t columns) {
    if (step != 1) {
      if constexpr (load) move_short_rows(block, columns, 1, at, far_row, step, rows, columns);
      else move_short_rows(at, far_row, step, block, columns, 1, rows, columns);
      return;
    }
    const int64_t row = columns * int64_t(sizeof(U)), far = far_row * int64_t(sizeof(U));
    if constexpr (load) move_kernels().rows(block, row, at, far, rows, row);
    else move_kernels().rows(at, far, block, row, rows, row);
  }
  template <bool load>
  static void move_run(U* block, U* at, int64_t step, int64_t run) {
    if constexpr (load) {
      if (step == 1) std::memcpy(block, at, size_t(run) * sizeof(U));
      else if (step == 0) std::fill(block, block + run, *at);
      else if (sizeof(U) <= 8 && step == -1) move_kernels().reverse[size_index<U>](block, at, run);
      else if (sizeof(U) <= 8 && step == 2) move_kernels().halve[size_index<U>](block, at, run);
      else
        for (int64_t i = 0; i < run; ++i) block[i] = at[i * step];
    } else {
      if (step == 1) std::memcpy(at, block, size_t(run) * sizeof(U));
      else
        for (int64_t i = 0; i < run; ++i) at[i * step] = block[i];
    }
  }
};

struct Sixteen {
  uint64_t half[2];
};

// The square that comes next, whose rows lie far apart, on its way to the second-level cache.
template <class U>
void prefetch_turned(const U* from, int64_t rows, int64_t columns, int64_t column_step) {
  for (int64_t k = 0; k < columns; ++k)
    for (int64_t i = 0; i < rows; i += 64 / int64_t(sizeof(U)))
      __builtin_prefetch(from + k * column_step + i, 0, 2);
}

template <class F>
void by_size(int64_t bytes, F&& f) {
  switch (bytes) {
    case 1: return f.template operator()<uint8_t>();
    case 2: return f.template operator()<uint16_t>();
    case 4: return f.template operator()<uint32_t>();
    case 8: return f.template operator()<uint64_t>();
    default: return f.template operator()<Sixteen>();
  }
}

}  // namespace

void gather(int64_t bytes, void* block, const void* memory, const Shape& shape,
            const Strides& strides, int64_t start, int64_t n) {
  by_size(bytes, [&]<class U>() {
    Mover<U>::template move<true>(static_cast<U*>(block),
                                  const_cast<U*>(static_cast<const U*>(memory)), shape, strides,
                                  start, n);
  });
}

void scatter(int64_t bytes, const void* block, void* memory, const Shape& shape,
             const Strides& strides, int64_t start, int64_t n) {
  by_size(bytes, [&]<class U>() {
    Mover<U>::template move<false>(const_cast<U*>(static_cast<const U*>(block)),
                                   static_cast<U*>(memory), shape, strides, start, n);
  });
}

void gather_tile(int64_t bytes, void* block, const void* memory, int64_t rows, int64_t columns,
                 int64_t row_step, int64_t column_step) {
  by_size(bytes, [&]<class U>() {
    U* to = static_cast<U*>(block);
    const U* from = static_cast<const U*>(memory);
    if constexpr (sizeof(U) <= 8)
      if (row_step == 1 && rows > 1 && column_step != 1) {
        prefetch_turned(from + columns * column_step, rows, columns, column_step);
        return move_kernels().turn[size_index<U>](to, columns, from, column_step, rows, columns);
      }
    for (int64_t i = 0; i < rows; ++i)
      Mover<U>::template move_run<true>(to + i * columns, const_cast<U*>(from) + i * row_step,
                                        column_step, columns);
  });
}

void scatter_tile(int64_t bytes, const void* block, void* memory, int64_t rows, int64_t columns,
                  int64_t row_step, int64_t column_step) {
  by_size(bytes, [&]<class U>() {
    const U* from = static_cast<const U*>(block);
    U* to = static_cast<U*>(memory);
    if constexpr (sizeof(U) <= 8)
      if (row_step == 1 && rows > 1 && column_step != 1)
        return move_kernels().turn[size_index<U>](to, column_step, from, columns, columns, rows);
    for (int64_t i = 0; i < rows; ++i)
      Mover<U>::template move_run<false>(const_cast<U*>(from) + i * columns, to + i * row_step,
                                         column_step, columns);
  });
}

void stream(void* to, const void* from, int64_t bytes) {
#if defined(__SSE2__)
  constexpr int64_t line = 64;
  auto* out = static_cast<char*>(to);
  auto* in = static_cast<const char*>(from);
  const int64_t head = std::min(int64_t(-reinterpret_cast<uintptr_t>(to) % line), bytes);
  std::memcpy(out, in, size_t(head));
  int64_t at = head;
  for (; at + line <= bytes; at += line)
    for (int k = 0; k < line; k += 16)
      _mm_stream_si128(reinterpret_cast<__m128i*>(out + at + k),
                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + at + k)));
  std::memcpy(out + at, in + at, size_t(bytes - at));
#else
  std::memcpy(to, from, size_t(bytes));
#endif
}
void end_stream() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

void fill(int64_t bytes, void* block, const void* element, int64_t n) {
  by_size(bytes, [&]<class U>() {
    U value;
    std::memcpy(&value, element, sizeof value);
    std::fill_n(static_cast<U*>(block), n, value);
  });
}

}  // namespace lazulite::cpu
