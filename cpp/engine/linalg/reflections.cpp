#include "engine/linalg/reflections.h"

#include <algorithm>

#include "device/cpu/pool.h"
#include "engine/gemm/gemm.h"
#include "engine/linalg/lapack.h"

namespace lazulite::engine::linalg {
namespace {

// out (m x n, dense) = a b; both by rows, so many elements apart.
template <class T>
void multiply(const T* a, int64_t a_row, const T* b, int64_t b_row, int64_t m, int64_t n, int64_t k,
              T* out) {
  auto view = [](const T* data, int64_t rows, int64_t cols, int64_t row) {
    return MatrixView{reinterpret_cast<char*>(const_cast<T*>(data)), rows, cols, row, 1, {}};
  };
  engine::gemm({.type = std::is_same_v<T, float> ? float32 : float64,
        .batch = {},
        .m = m,
        .n = n,
        .k = k,
        .a = view(a, m, k, a_row),
        .b = view(b, k, n, b_row),
        .out = reinterpret_cast<char*>(out)});
}

// I - V S V^T, the product of `count` reflections of vectors of `length`, each with a 1 behind its
// zeros.
template <class T>
class Block {
 public:
  Block(const T* vectors, int64_t stride, const T* tau, int64_t length, int64_t count)
      : length_(length), count_(count), rows_(length * count), columns_(length * count),
        small_(count * count), turned_(count * count) {
    T *rows = rows_, *columns = columns_;
    for (int64_t i = 0; i < count; ++i)
      for (int64_t x = 0; x < length; ++x)
        columns[x * count + i] = rows[i * length + x] =
            x > i ? vectors[i * stride + x] : T(x == i);
    join(tau);
  }

  // Each of `lines` rows becomes itself times the block, or the transposed one.
  void apply(T* lines, int64_t stride, int64_t many, bool transposed) const {
    if (many == 0) return;
    Scratch<T> along(many * count_), joined(many * count_), away(many * length_);
    multiply<T>(lines, stride, columns_, count_, many, count_, length_, along);
    multiply<T>(along, count_, transposed ? turned_ : small_, count_, many, count_, count_, joined);
    multiply<T>(joined, count_, rows_, length_, many, length_, count_, away);
    const T* from = away;
    cpu::parallel_for(
        many,
        [&](int64_t i) {
          for (int64_t x = 0; x < length_; ++x) lines[i * stride + x] -= from[i * length_ + x];
        },
        double(many * length_) * 0.2);
  }

 private:
  // S, whose column i is -tau[i] S V^T v_i above tau[i].
  void join(const T* tau) {
    Scratch<T> products(count_ * count_);
    multiply<T>(rows_, length_, columns_, count_, count_, count_, length_, products);
    T *s = small_, *turned = turned_;
    const T* p = products;
    std::fill(s, s + count_ * count_, T(0));
    for (int64_t i = 0; i < count_; ++i) {
      for (int64_t y = 0; y < i; ++y) {
        T sum(0);
        for (int64_t x = y; x < i; ++x) sum += s[y * count_ + x] * p[x * count_ + i];
        s[y * count_ + i] = -tau[i] * sum;
      }
      s[i * count_ + i] = tau[i];
    }
    for (int64_t y = 0; y < count_; ++y)
      for (int64_t x = 0; x < count_; ++x) turned[x * count_ + y] = s[y * count_ + x];
  }

  const int64_t length_, count_;
  const Scratch<T> rows_, columns_, small_, turned_;
};

}  // namespace

template <class T>
void reflect(const char* op, T* a, int64_t m, int64_t n, int64_t cols, T* q) {
  const int64_t k = std::min(m, n);
  Scratch<T> tau(k), work(reflected_panel * reflected_panel);
  T* const t = tau;
  const int stride = narrow(op, m), room = int(reflected_panel * reflected_panel);
  auto block = [&](int64_t first) {
    return Block<T>(a + first * m + first, m, t + first, m - first,
                    std::min(reflected_panel, k - first));
  };
  for (int64_t first = 0; first < k; first += reflected_panel) {
    const int rows = narrow(op, m - first), count = int(std::min(reflected_panel, k - first));
    int info = 0;
    call<T>(op, geqrf, &rows, &count, a + first * m + first, &stride, t + first,
            static_cast<T*>(work), &room, &info);
    const int64_t behind = first + count;
    if (behind < n) block(first).apply(a + behind * m + first, m, n - behind, false);
  }
  if (!q) return;
  for (int64_t i = 0; i < cols; ++i)
    for (int64_t x = 0; x < m; ++x) q[i * m + x] = T(x == i);
  for (int64_t first = (k - 1) / reflected_panel * reflected_panel; first >= 0;
       first -= reflected_panel)
    block(first).apply(q + first * m + first, m, cols - first, true);
}

template void reflect(const char*, float*, int64_t, int64_t, int64_t, float*);
template void reflect(const char*, double*, int64_t, int64_t, int64_t, double*);

}  // namespace lazulite::engine::linalg
