#include "engine/gemm/grouped.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "device/cpu/pool.h"
#include "device/device.h"
#include "engine/layout/copy.h"

namespace lazulite::engine {
namespace {

// One matrix of a stack, or a part of one.
MatrixView matrix(const MatrixView& stack, Dtype type, int64_t i) {
  const int64_t step = stack.batch.empty() ? 0 : stack.batch[0];
  return {stack.data + i * step * size_of(type), stack.rows, stack.cols, stack.row, stack.col, {}};
}
MatrixView rows_of(const MatrixView& m, Dtype type, int64_t from, int64_t to) {
  return {m.data + from * m.row * size_of(type), to - from, m.cols, m.row, m.col, {}};
}
MatrixView columns_of(const MatrixView& m, Dtype type, int64_t from, int64_t to) {
  return {m.data + from * m.col * size_of(type), m.rows, to - from, m.row, m.col, {}};
}
MatrixView turned(const MatrixView& m) { return {m.data, m.cols, m.rows, m.col, m.row, m.batch}; }

void copy_matrix(const MatrixView& from, Dtype type, char* to, int64_t row) {
  copy(Shape{from.rows, from.cols}, {from.data, type, Strides{from.row, from.col}},
       {to, type, Strides{row, 1}});
}
struct Room {  // memory of a step
  Ref<Buffer> buffer;
  char* take(int64_t elements, Dtype type) {
    buffer = allocate(std::max<int64_t>(elements, 1) * size_of(type));
    return static_cast<char*>(buffer->data);
  }
};

// Strides along axes of one element mean nothing: they are made those of a dense matrix.
MatrixView settled(MatrixView m) {
  if (m.rows == 1 && m.cols == 1) m.row = m.col = 1;
  else if (m.cols == 1) m.col = m.row == 1 ? m.rows : 1;
  else if (m.rows == 1) m.row = m.col == 1 ? m.cols : 1;
  return m;
}

// out = a b; what gemm does not read as it lies is copied.
void multiply(Dtype type, const MatrixView& a, const MatrixView& b, char* out) {
  const int64_t m = a.rows, n = b.cols, k = a.cols;
  if (m == 0 || n == 0) return;
  if (k == 0) return void(std::memset(out, 0, size_t(m * n * size_of(type))));
  Product p{.type = type, .batch = {}, .m = m, .n = n, .k = k, .a = settled(a), .b = settled(b),
            .out = out};
  Room room_a, room_b;
  const auto dense = [&](MatrixView& x, Room& room) {
    char* data = room.take(x.rows * x.cols, type);
    copy_matrix(x, type, data, x.cols);
    x = {data, x.rows, x.cols, x.cols, 1, {}};
  };
  if (!reads_left(p)) dense(p.a, room_a);
  if (!reads_right(p)) dense(p.b, room_b);
  gemm(p);
}

void add_onto(Dtype type, char* to, const char* from, int64_t n) {
  dispatch(type, [&]<class T>() {
    T* out = reinterpret_cast<T*>(to);
    const T* in = reinterpret_cast<const T*>(from);
    for (int64_t i = 0; i < n; ++i) {
      if constexpr (std::is_same_v<T, bool>) out[i] = out[i] || in[i];
      else if constexpr (std::is_integral_v<T>)
        out[i] = T(std::make_unsigned_t<T>(out[i]) + std::make_unsigned_t<T>(in[i]));
      else if constexpr (is_half(dtype_of<T>)) out[i] = T{float(out[i]) + float(in[i])};
      else out[i] = out[i] + in[i];
    }
  });
}

// Terms in groups of equal keys, in order inside of each.
struct Groups {
  std::vector<int64_t> order, first;  // first[g] ... first[g + 1] in order
  Groups(const int64_t* keys, int64_t n) : order(size_t(n)) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return keys[a] < keys[b]; });
    for (int64_t i = 0; i < n; ++i)
      if (i == 0 || keys[order[size_t(i)]] != keys[order[size_t(i) - 1]]) first.push_back(i);
    first.push_back(n);
  }
  int64_t size() const { return int64_t(first.size()) - 1; }
  const int64_t* begin(int64_t g) const { return order.data() + first[size_t(g)]; }
  int64_t count(int64_t g) const { return first[size_t(g) + 1] - first[size_t(g)]; }
};

// Small products side by side, large ones by all threads each.
template <class F>
void for_groups(int64_t groups, double flops, F f) {
  if (groups > 1 && flops / double(groups) < 2e6)
    cpu::parallel_for(groups, f, flops * 0.1 + double(groups) * 500);
  else
    for (int64_t g = 0; g < groups; ++g) f(g);
}

struct Named {
  const NamedProducts& p;
  int64_t bytes = size_of(p.type), result = p.m * p.n;
  double flops = 2.0 * double(p.terms) * double(result) * double(p.k);

  MatrixView left(int64_t t) const { return matrix(p.a, p.type, p.l[t]); }
  MatrixView right(int64_t t) const { return matrix(p.b, p.type, p.r[t]); }
  char* place(int64_t o) const { return p.out + o * result * bytes; }

  // The terms of a result as one product: beside each other, and below each other.
  void joined() const {
    const Groups of(p.o, p.terms);
    for_groups(of.size(), flops, [&](int64_t g) {
      const int64_t *t = of.begin(g), count = of.count(g);
      if (count == 1) return multiply(p.type, left(*t), right(*t), place(p.o[*t]));
      const int64_t k = count * p.k;
      Room room_a, room_b;
      char *a = room_a.take(p.m * k, p.type), *b = room_b.take(k * p.n, p.type);
      for (int64_t i = 0; i < count; ++i) {
        copy_matrix(left(t[i]), p.type, a + i * p.k * bytes, k);
        copy_matrix(right(t[i]), p.type, b + i * p.k * p.n * bytes, p.n);
      }
      multiply(p.type, {a, p.m, k, k, 1, {}}, {b, k, p.n, p.n, 1, {}}, place(p.o[*t]));
    });
  }

  // Term t to `to + t * m * n`, or (null) to its own place; terms of one matrix b as one product of
  // all their rows.
  void apart(char* to) const {
    const auto target = [&](int64_t t) {
      return to ? to + t * result * bytes : place(p.o[t]);
    };
    const Groups of(p.r, p.terms);
    for_groups(of.size(), flops, [&](int64_t g) {
      const int64_t *t = of.begin(g), count = of.count(g);
      if (count == 1 || p.m >= 256) {
        for (int64_t i = 0; i < count; ++i)
          multiply(p.type, left(t[i]), right(t[i]), target(t[i]));
        return;
      }
      bool neighbours = true;  // in a, and where they go
      for (int64_t i = 1; i < count; ++i)
        neighbours &=
            p.l[t[i]] == p.l[t[0]] + i && target(t[i]) == target(t[0]) + i * result * bytes;
      const int64_t rows = count * p.m;
      if (neighbours && (p.m == 1 || p.a.batch[0] == p.m * p.a.row)) {
        MatrixView a = left(t[0]);
        a.rows = rows;
        if (p.m == 1) a.row = p.a.batch[0];
        return multiply(p.type, a, right(t[0]), target(t[0]));
      }
      Room room_a, room_out;
      char *a = room_a.take(rows * p.k, p.type), *out = room_out.take(rows * p.n, p.type);
      for (int64_t i = 0; i < count; ++i)
        copy_matrix(left(t[i]), p.type, a + i * p.m * p.k * bytes, p.k);
      multiply(p.type, {a, rows, p.k, p.k, 1, {}}, right(t[0]), out);
      for (int64_t i = 0; i < count; ++i)
        std::memcpy(target(t[i]), out + i * result * bytes, size_t(result * bytes));
    });
  }
};

}  // namespace

void named_products(const NamedProducts& p) {
  const Named all{p};
  std::vector<int32_t> named(size_t(p.count), 0);
  bool once = true;
  for (int64_t t = 0; t < p.terms; ++t) once &= ++named[size_t(p.o[t])] == 1;
  for (int64_t o = 0; o < p.count; ++o)
    if (named[size_t(o)] == 0) std::memset(all.place(o), 0, size_t(all.result * all.bytes));
  if (all.result == 0 || p.terms == 0) return;
  if (once) return all.apart(nullptr);
  if (p.k * (p.m + p.n) <= p.m * p.n) return all.joined();
  Room room;
  char* made = room.take(p.terms * all.result, p.type);
  all.apart(made);
  const Groups of(p.o, p.terms);
  cpu::parallel_for(of.size(), [&](int64_t g) {
    const int64_t* t = of.begin(g);
    char* out = all.place(p.o[*t]);
    std::memcpy(out, made + t[0] * all.result * all.bytes, size_t(all.result * all.bytes));
    for (int64_t i = 1; i < of.count(g); ++i)
      add_onto(p.type, out, made + t[i] * all.result * all.bytes, all.result);
  }, double(p.terms * all.result));
}

void part_products(const PartProducts& p) {
  const int64_t bytes = size_of(p.type);
  double flops = 0;
  for (int64_t i = 0; i < p.parts; ++i)
    flops += 2.0 * double(p.m) * double(p.n) * double(p.to[i] - p.from[i]);
  for_groups(p.parts, flops, [&](int64_t i) {
    multiply(p.type, columns_of(p.a, p.type, p.from[i], p.to[i]),
             rows_of(p.b, p.type, p.from[i], p.to[i]), p.out + i * p.m * p.n * bytes);
  });
}

void spread_products(const PartProducts& p) {
  const int64_t bytes = size_of(p.type);
  std::memset(p.out, 0, size_t(p.b.rows * p.m * bytes));
  Room room;
  char* made = nullptr;
  std::vector<bool> written(size_t(p.b.rows), false);
  for (int64_t i = 0; i < p.parts; ++i) {
    const int64_t from = p.from[i], to = p.to[i];
    if (from == to) continue;
    char* out = p.out + from * p.m * bytes;
    const auto begin = written.begin() + from, end = written.begin() + to;
    const bool first = std::find(begin, end, true) == end;
    if (!first && !made) made = room.take(p.b.rows * p.m, p.type);
    multiply(p.type, rows_of(p.b, p.type, from, to), turned(matrix(p.a, p.type, i)),
             first ? out : made);
    if (!first) add_onto(p.type, out, made, (to - from) * p.m);
    std::fill(begin, end, true);
  }
}

}  // namespace lazulite::engine
