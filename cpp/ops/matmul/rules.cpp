#include "ops/matmul/matmul.h"
#include "ops/ops.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "device/cpu/openblas.h"
#include "device/cpu/pool.h"
#include "device/limits.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

// ---- operands of the kernel
// ----------------------------------------------------------------------

// A stack of matrices in memory: element (r, c) of matrix 0 is at data[r * row + c * col].
struct Stack {
  char* data;
  int64_t rows, cols, row, col;
  Strides batch;         // of the batch axes, in elements
  Ref<Buffer> copy;      // holds the data when they had to be copied
  bool plain() const { return col == 1; }
  int64_t ld() const { return plain() ? row : col; }
};

bool fits_blas(const Stack& m) { return (m.col == 1 || m.row == 1) && m.ld() <= INT_MAX; }

// Strides along axes of size 1 mean nothing: they are made those of a dense matrix.
Stack describe(const Bound& a) {
  const size_t n = a.shape().size();
  Stack m{a.data, a.shape()[n - 2], a.shape()[n - 1], a.strides()[n - 2], a.strides()[n - 1], {},
          {}};
  for (size_t i = 0; i + 2 < n; ++i) m.batch.push_back(a.shape()[i] == 1 ? 0 : a.strides()[i]);
  if (m.rows == 1 && m.cols == 1) m.row = m.col = 1;
  else if (m.cols == 1) m.row == 1 ? (void)(m.col = m.rows) : (void)(m.col = 1);
  else if (m.rows == 1) m.col == 1 ? (void)(m.row = m.cols) : (void)(m.row = 1);
  return m;
}

bool usable(const Stack& m) {
  if (m.col == 1 && m.row >= m.cols) return true;
  return m.row == 1 && m.col >= m.rows;
}

// Dense copy in dtype `to` (the same, or float32 for halves); axes that repeat are copied once.
Stack dense_copy(const Bound& a, Dtype to) {
  const size_t n = a.shape().size();
  Shape shape = a.shape();
  for (size_t i = 0; i + 2 < n; ++i)
    if (a.strides()[i] == 0) shape[i] = 1;
  const Strides to_strides = dense_strides(shape);
  Stack m{nullptr,
          shape[n - 2],
          shape[n - 1],
          shape[n - 1],
          1,
          {},
          allocate(size_of(shape) * size_of(to))};
  m.data = static_cast<char*>(m.copy->data);
  for (size_t i = 0; i + 2 < n; ++i) m.batch.push_back(shape[i] == 1 ? 0 : to_strides[i]);
  BlockProgram program;
  program.domain = shape;
  program.load.push_back({0, a.type(), 0, a.strides()});
  program.store.push_back({1, to, 0, to_strides});
  program.registers = 1;
  program.width = 16;
  program.cost = 0.3;
  const Binding bindings[2] = {{a.data}, {m.data}};
  run_program(program, bindings);
  return m;
}

// ---- the grid: a function of the shapes only
// -----------------------------------------------------

struct Grid {
  int64_t tile_m = tile_rows, tile_n = tile_columns, across_m, across_n;
  Grid(int64_t batch, int64_t m, int64_t n, int64_t k) {
    tile_m = std::min(tile_m, m);
    tile_n = std::min(tile_n, n);
    count(m, n);
    // Smaller tiles while there are few of them with much work in each.
    while (batch * across_m * across_n < 32 && double(tile_m) * double(tile_n) * double(k) > 2e6) {
      if (tile_n > 128 && tile_n >= tile_m) tile_n = (tile_n + 1) / 2;
      else if (tile_m > 64) tile_m = (tile_m + 1) / 2;
      else if (tile_n > 128) tile_n = (tile_n + 1) / 2;
      else break;
      count(m, n);
    }
  }
  void count(int64_t m, int64_t n) {
    across_m = (m + tile_m - 1) / tile_m;
    across_n = (n + tile_n - 1) / tile_n;
  }
};

struct Problem {
  Stack a, b;
  char* out;      // dense
  Shape batch;
  int64_t m, n, k;
};

// body(offset of a, of b, of out in elements; first row, rows, first column, columns)
template <class F>
void for_tiles(const Problem& p, double macs_per_ns, F&& body) {
  const int64_t lanes = size_of(p.batch);
  const Grid grid(lanes, p.m, p.n, p.k);
  const int64_t tiles = lanes * grid.across_m * grid.across_n;
  const double work = double(grid.tile_m) * double(grid.tile_n) * double(p.k);
  const int64_t group = std::max<int64_t>(1, int64_t(65536 / std::max(work, 1.0)));
  cpu::parallel_for(
      (tiles + group - 1) / group,
      [&](int64_t chunk) {
        for (int64_t t = chunk * group; t < std::min(tiles, (chunk + 1) * group); ++t) {
          const int64_t lane = t / (grid.across_m * grid.across_n),
                        at = t % (grid.across_m * grid.across_n);
          int64_t rest = lane, off_a = 0, off_b = 0;
          for (size_t i = p.batch.size(); i-- > 0;) {
            const int64_t index = rest % p.batch[i];
            rest /= p.batch[i];
            off_a += index * p.a.batch[i];
            off_b += index * p.b.batch[i];
          }
          const int64_t i0 = at / grid.across_n * grid.tile_m,
                        j0 = at % grid.across_n * grid.tile_n;
          body(off_a, off_b, lane * p.m * p.n, i0, std::min(grid.tile_m, p.m - i0), j0,
               std::min(grid.tile_n, p.n - j0));
        }
      },
      double(tiles) * (work / macs_per_ns + 150));
}

// ---- with BLAS
// -----------------------------------------------------------------------------------

constexpr int row_major = 101, no_trans = 111, trans = 112;

template <class T>
void gemm(const cpu::Blas& blas, int ta, int tb, int m, int n, int k, const T* a, int lda,
          const T* b, int ldb, T* c, int ldc) {
  const T one(1), zero(0);
  if constexpr (std::is_same_v<T, float>)
    blas.sgemm(row_major, ta, tb, m, n, k, one, a, lda, b, ldb, zero, c, ldc);
  else if constexpr (std::is_same_v<T, double>)
    blas.dgemm(row_major, ta, tb, m, n, k, one, a, lda, b, ldb, zero, c, ldc);
  else if constexpr (std::is_same_v<T, std::complex<float>>)
    blas.cgemm(row_major, ta, tb, m, n, k, &one, a, lda, b, ldb, &zero, c, ldc);
  else
    blas.zgemm(row_major, ta, tb, m, n, k, &one, a, lda, b, ldb, &zero, c, ldc);
}

// y = A x, y dense; A is rows x cols at (row, col) strides of which one is 1.
template <class T>
void gemv(const cpu::Blas& blas, int64_t rows, int64_t cols, const T* a, int64_t row, int64_t col,
          const T* x, int64_t step, T* y) {
  std::memset(y, 0, size_t(rows) * sizeof(T));  // beta = 1 over zeros: what was in y never counts
  const bool plain = col == 1 && row >= cols;
  const int order = plain ? no_trans : trans;
  const int m = int(plain ? rows : cols), n = int(plain ? cols : rows), ld = int(plain ? row : col);
  if constexpr (std::is_same_v<T, float>)
    blas.sgemv(row_major, order, m, n, 1, a, ld, x, int(step), 1, y, 1);
  else blas.dgemv(row_major, order, m, n, 1, a, ld, x, int(step), 1, y, 1);
}

template <class T>
void product_blas(const cpu::Blas& blas, const Problem& p) {
  const T *a = reinterpret_cast<const T*>(p.a.data), *b = reinterpret_cast<const T*>(p.b.data);
  T* out = reinterpret_cast<T*>(p.out);
  const bool plain_a = p.a.col == 1 && p.a.row >= p.a.cols,
             plain_b = p.b.col == 1 && p.b.row >= p.b.cols;
  const double speed = 30.0 / double(sizeof(T)) * 4 / (std::is_floating_point_v<T> ? 1 : 4);
  for_tiles(
      p, speed,
      [&](int64_t oa, int64_t ob, int64_t oo, int64_t i, int64_t rows, int64_t j, int64_t cols) {
        const T *ta = a + oa + i * p.a.row, *tb = b + ob + j * p.b.col;
        T* to = out + oo + i * p.n + j;
        if constexpr (std::is_floating_point_v<T>) {
          if (p.n == 1) return gemv(blas, rows, p.k, ta, p.a.row, p.a.col, tb, p.b.row, to);
          if (p.m == 1) return gemv(blas, cols, p.k, tb, p.b.col, p.b.row, ta, p.a.col, to);
        }
        gemm(blas, plain_a ? no_trans : trans, plain_b ? no_trans : trans, int(rows), int(cols),
             int(p.k), ta, int(plain_a ? p.a.row : p.a.col), tb, int(plain_b ? p.b.row : p.b.col),
             to, int(p.n));
      });
}

// ---- without
// -------------------------------------------------------------------------------------

template <class T>
inline T madd(T c, T a, T b) {
  if constexpr (std::is_same_v<T, bool>) return c | (a & b);
  else if constexpr (std::is_same_v<T, std::complex<float>> ||
                     std::is_same_v<T, std::complex<double>>)
    return T(c.real() + (a.real() * b.real() - a.imag() * b.imag()),
             c.imag() + (a.real() * b.imag() + a.imag() * b.real()));
  else return T(c + a * b);
}

// out += a b for one tile; each element adds its products in the order of k, however it is tiled.
template <class T>
void product_tile(const T* __restrict a, int64_t row_a, int64_t col_a, const T* __restrict b,
                  int64_t row_b, T* __restrict out, int64_t ld, int64_t rows, int64_t cols,
                  int64_t inner) {
  constexpr int64_t block = inner_block;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; ++j) out[i * ld + j] = T(0);
  for (int64_t k0 = 0; k0 < inner; k0 += block) {
    const int64_t k1 = std::min(inner, k0 + block);
    for (int64_t i = 0; i < rows; ++i) {
      T* __restrict c = out + i * ld;
      int64_t k = k0;
      for (; k + 4 <= k1; k += 4) {
        const T *x = a + i * row_a + k * col_a, *b0 = b + k * row_b, *b1 = b0 + row_b,
                *b2 = b1 + row_b, *b3 = b2 + row_b;
        const T a0 = x[0], a1 = x[col_a], a2 = x[2 * col_a], a3 = x[3 * col_a];
        for (int64_t j = 0; j < cols; ++j)
          c[j] = madd(madd(madd(madd(c[j], a0, b0[j]), a1, b1[j]), a2, b2[j]), a3, b3[j]);
      }
      for (; k < k1; ++k) {
        const T x = a[i * row_a + k * col_a], *b0 = b + k * row_b;
        for (int64_t j = 0; j < cols; ++j) c[j] = madd(c[j], x, b0[j]);
      }
    }
  }
}

template <class T>
void product_plain(const Problem& p) {
  const T *a = reinterpret_cast<const T*>(p.a.data), *b = reinterpret_cast<const T*>(p.b.data);
  T* out = reinterpret_cast<T*>(p.out);
  for_tiles(
      p, 1.5,
      [&](int64_t oa, int64_t ob, int64_t oo, int64_t i, int64_t rows, int64_t j, int64_t cols) {
        product_tile(a + oa + i * p.a.row, p.a.row, p.a.col, b + ob + j, p.b.row,
                     out + oo + i * p.n + j, p.n, rows, cols, p.k);
      });
}

// ---- the op
// --------------------------------------------------------------------------------------

void matmul_kernel(const Call& call) {
  const Bound &a = call.in[0], &b = call.in[1], &to = call.out[0];
  const size_t n = to.shape().size();
  Problem p{{}, {}, to.data, {}, to.shape()[n - 2], to.shape()[n - 1], a.shape().back()};
  if (size_of(to.shape()) == 0) return;
  if (p.k == 0) {
    std::memset(to.data, 0, size_t(size_of(to.shape()) * size_of(to.type())));
    return;
  }
  for (size_t i = 0; i + 2 < n; ++i) p.batch.push_back(to.shape()[i]);

  const Dtype t = compute_type(to.type());
  const bool half = t != to.type();
  const cpu::Blas* blas = is_inexact(t) ? cpu::blas() : nullptr;
  auto operand = [&](const Bound& x, bool second) {
    if (half) return dense_copy(x, t);
    Stack m = describe(x);
    if (blas ? usable(m) && fits_blas(m) : !second || m.col == 1) return m;
    return dense_copy(x, t);
  };
  p.a = operand(a, false);
  p.b = operand(b, true);
  if (blas &&
      (p.k > INT_MAX || p.n > INT_MAX || p.m > INT_MAX || !fits_blas(p.a) || !fits_blas(p.b))) {
    blas = nullptr;  // beyond the ints of BLAS
    if (p.b.col != 1) p.b = dense_copy(b, t);
  }

  Ref<Buffer> wide;
  const int64_t count = size_of(to.shape());
  if (half) {
    wide = allocate(count * size_of(t));
    p.out = static_cast<char*>(wide->data);
  }
  dispatch(t, [&]<class T>() {
    if constexpr (is_inexact(dtype_of<T>) && !is_half(dtype_of<T>)) {
      if (blas) return product_blas<T>(*blas, p);
    }
    if constexpr (!is_half(dtype_of<T>)) product_plain<T>(p);
  });
  if (half) {
    BlockProgram program;
    program.domain = {count};
    program.load.push_back({0, t, 0, {1}});
    program.store.push_back({1, to.type(), 0, {1}});
    program.registers = 1;
    program.width = 4;
    program.cost = 0.3;
    const Binding bindings[2] = {{p.out}, {to.data}};
    run_program(program, bindings);
  }
}

Specs infer_matmul(const Attrs*, const Arrays& in) {
  Shape shape = in[0].shape();
  shape.back() = in[1].shape().back();
  return {Spec{shape, in[0].dtype()}};
}

array adjoint(const array& a) { return matrix_transpose(conjugate(a)); }

Arrays vjp_matmul(const Node& node, const Arrays& cts, const Needs& needs) {
  Arrays out{array(), array()};
  if (needs[0]) out[0] = matmul(cts[0], adjoint(node.inputs[1]));
  if (needs[1]) out[1] = matmul(adjoint(node.inputs[0]), cts[0]);
  return out;
}

Arrays jvp_matmul(const Node& node, const Arrays& t) {
  array out;
  if (t[0]) out = matmul(t[0], node.inputs[1]);
  if (t[1]) {
    const array other = matmul(node.inputs[0], t[1]);
    out = out ? out + other : other;
  }
  return {out};
}

// Lanes in front; what has none broadcasts as any other batch.
Arrays vmap_matmul(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes = {0};
  return {matmul(batch_first(in[0], axes[0]), batch_first(in[1], axes[1]), node.stream)};
}

// One product over lanes and the inner axis.
array sum_lanes_matmul(const Arrays& in, const Axes& axes, Stream stream) {
  if (axes[0] < 0) return matmul(in[0], sum(in[1], {axes[1]}, false, stream), stream);
  if (axes[1] < 0) return matmul(sum(in[0], {axes[0]}, false, stream), in[1], stream);
  return tensordot(batch_first(in[0], axes[0]), batch_first(in[1], axes[1]), Axes{0, 2}, Axes{0, 1},
                   stream);
}

double flops_matmul(const Node& node) {
  const Shape& a = node.inputs[0].shape();
  return 2.0 * double(size_of(node.out[0].spec.shape)) * double(a.back());
}

// Two ways to add k products are at most k + 2 units in the last place of the sum of their sizes
// apart.
double ulp_matmul(const Node& node) { return double(node.inputs[0].shape().back()) + 2; }

void check_matmul(const Attrs*, const Arrays& in) {
  check_inputs("matmul", in, 2);
  const Shape &a = in[0].shape(), &b = in[1].shape();
  bool fits = a.size() >= 2 && a.size() == b.size() && in[0].dtype() == in[1].dtype();
  for (size_t i = 0; fits && i + 2 < a.size(); ++i) fits = a[i] == b[i];
  if (!fits || a.back() != b[b.size() - 2])
    fail(Kind::value, "matmul", "shapes do not fit: got ", a, " and ", b);
}
const Op matmul_op{.name = "matmul",
                   .doc = "Products of matrices over the last two axes.",
                   .check = check_matmul,
                   .infer = infer_matmul,
                   .vjp = vjp_matmul,
                   .jvp = jvp_matmul,
                   .vmap = vmap_matmul,
                   .sum_lanes = sum_lanes_matmul,
                   .ulp = ulp_matmul,
                   .flops = flops_matmul,
                   .kernel = matmul_kernel};

Shape batch_of(const array& a) { return Shape(a.shape().begin(), a.shape().end() - 2); }
Shape with_matrix(Shape batch, int64_t rows, int64_t cols) {
  batch.push_back(rows);
  batch.push_back(cols);
  return batch;
}

// A factor as a number beside dtype t: an integer where t is one and all the factors are whole.
bool whole(double v) { return v == std::floor(v) && std::abs(v) < 0x1p62; }
Scalar factor(double v, Dtype t, bool integers) {
  return is_integral(t) && integers ? Scalar(int64_t(v)) : Scalar(v);
}

}  // namespace

OpList matmul_ops() { return {&matmul_op}; }

array matmul(const array& a, const array& b, Stream s) {
  if (a.ndim() == 0 || b.ndim() == 0)
    fail(Kind::value, "matmul", "0-d operand: got shapes ", a.shape(), " and ", b.shape(),
         ", expected at least one axis");
  const bool row = a.ndim() == 1, column = b.ndim() == 1;
  const int64_t inner = a.shape(-1), other = b.shape(column ? 0 : -2);
  if (inner != other)
    fail(Kind::value, "matmul", "inner sizes differ: got ", inner, " (last axis of ", a.shape(),
         ") and ", other, column ? " (the axis of " : " (last but one axis of ", b.shape(), ")");
  const Dtype t = promote(a.dtype(), b.dtype());
  array x = astype(a, t, s), y = astype(b, t, s);
  if (row) x = reshape(x, {1, inner}, s);
  if (column) y = reshape(y, {inner, 1}, s);
  const Shape batch = broadcast_shapes(batch_of(x), batch_of(y), "matmul");
  const int64_t m = x.shape(-2), n = y.shape(-1);
  Shape shape = batch;
  if (!row) shape.push_back(m);
  if (!column) shape.push_back(n);

  array out;
  if (x.ndim() > 2 && y.ndim() == 2) {  // one product of all rows
    out = record(matmul_op, {},
                 {reshape(x, {product_of_sizes(size_of(batch), m, "matmul"), inner}, s), y}, s);
  } else {
    out = record(matmul_op, {},
                 {broadcast_to(x, with_matrix(batch, m, inner), s),
                  broadcast_to(y, with_matrix(batch, inner, n), s)},
                 s);
  }
  return reshape(out, shape, s);
}

array addmm(const Operand& c, const array& a, const array& b, double alpha, double beta, Stream s) {
  array product = matmul(a, b, s);
  if (c.is_array() &&
      broadcast_shapes(c.get().shape(), product.shape(), "addmm") != product.shape())
    fail(Kind::value, "addmm", "c does not fit: got shape ", c.get().shape(),
         ", expected one that broadcasts to ", product.shape());
  const bool integers = whole(alpha) && whole(beta);
  if (alpha != 1) product = multiply(product, factor(alpha, product.dtype(), integers), s);
  if (beta == 1) return add(product, c, s);
  return add(product, multiply(c, factor(beta, c.natural(), integers), s), s);
}

array inner(const array& a, const array& b, Stream s) {
  if (a.ndim() == 0 || b.ndim() == 0) return multiply(a, b, s);
  if (a.shape(-1) != b.shape(-1))
    fail(Kind::value, "inner", "last axes differ: got shapes ", a.shape(), " and ", b.shape());
  return tensordot(a, b, Axes{-1}, Axes{-1}, s);
}

array outer(const array& a, const array& b, Stream s) {
  return multiply(reshape(a, {a.size(), 1}, s), reshape(b, {1, b.size()}, s), s);
}

array tensordot(const array& a, const array& b, int axes, Stream s) {
  if (axes < 0 || axes > a.ndim() || axes > b.ndim())
    fail(Kind::value, "tensordot", "number of axes out of range: got ", axes, " for shapes ",
         a.shape(), " and ", b.shape());
  Axes last, first;
  for (int i = 0; i < axes; ++i) {
    last.push_back(a.ndim() - axes + i);
    first.push_back(i);
  }
  return tensordot(a, b, last, first, s);
}

array tensordot(const array& a, const array& b, const Axes& axes_a, const Axes& axes_b, Stream s) {
  if (axes_a.size() != axes_b.size())
    fail(Kind::value, "tensordot", "different numbers of axes: got ", axes_a, " and ", axes_b);
  normal_axes(axes_a, a.ndim(), "tensordot");  // refuses repeated ones
  normal_axes(axes_b, b.ndim(), "tensordot");
  SmallVector<bool, 8> used_a(size_t(a.ndim()), false), used_b(size_t(b.ndim()), false);
  Axes order_a, order_b;
  int64_t k = 1, m = 1, n = 1;
  for (size_t i = 0; i < axes_a.size(); ++i) {
    const int at_a = normal_axis(axes_a[i], a.ndim(), "tensordot"),
              at_b = normal_axis(axes_b[i], b.ndim(), "tensordot");
    if (a.shape(at_a) != b.shape(at_b))
      fail(Kind::value, "tensordot", "sizes differ: got ", a.shape(at_a), " on axis ", at_a, " of ",
           a.shape(), " and ", b.shape(at_b), " on axis ", at_b, " of ", b.shape());
    used_a[size_t(at_a)] = used_b[size_t(at_b)] = true;
    order_b.push_back(at_b);
    k = product_of_sizes(k, a.shape(at_a), "tensordot");
  }
  Shape shape;
  for (int i = 0; i < a.ndim(); ++i)
    if (!used_a[size_t(i)]) {
      order_a.push_back(i);
      shape.push_back(a.shape(i));
      m = product_of_sizes(m, a.shape(i), "tensordot");
    }
  for (int axis : axes_a) order_a.push_back(normal_axis(axis, a.ndim(), "tensordot"));
  for (int i = 0; i < b.ndim(); ++i)
    if (!used_b[size_t(i)]) {
      order_b.push_back(i);
      shape.push_back(b.shape(i));
      n = product_of_sizes(n, b.shape(i), "tensordot");
    }
  const array x = reshape(transpose(a, order_a, s), {m, k}, s),
              y = reshape(transpose(b, order_b, s), {k, n}, s);
  return reshape(matmul(x, y, s), shape, s);
}

}  // namespace lazulite
