#include "engine/gemm/few_lines.h"

#include <cstring>

#include "device/cpu/pool.h"
#include "device/limits.h"

namespace lazulite::engine {
namespace {

template <class T>
void turn(const char* from, char* to, int64_t rows, int64_t count) {
  const T* x = reinterpret_cast<const T*>(from);
  T* y = reinterpret_cast<T*>(to);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t r = 0; r < rows; ++r) y[i * rows + r] = x[r * count + i];
}

}  // namespace

FewLines::FewLines(const Product& p, const PanelKernels& k)
    : p_(p), k_(k), by_rows_(p.m <= few && (p.n > few || p.m <= p.n)), rows_(by_rows_ ? p.m : p.n),
      count_(by_rows_ ? p.n : p.m), line_(by_rows_ ? p.b.col : p.a.row),
      step_(by_rows_ ? p.b.row : p.a.col), memory_(size_of(p.type)),
      sum_(size_of(compute_type(p.type))) {}

// The few rows, dense, as the kernel reads them: `row` elements apart.
const char* FewLines::dense(const char* x, int64_t step, int64_t& row, Ref<Buffer>& held) const {
  const bool grouped = step_ == 1 && k_.group > 1;  // dots take elements as they are
  const int64_t bytes = grouped ? memory_ : sum_;
  if (step == 1 && bytes == memory_) return x;
  const int64_t each = parts(p_.k, k_.group) * k_.group;
  char* to = memory(held, rows_ * each * bytes);
  if (grouped)
    for (int64_t r = 0; r < rows_; ++r)
      k_.pack({x + r * row * bytes, to + r * each * bytes, 1, 1, p_.k, step, p_.k});
  else k_.widen({x, to, p_.k, each, step, row, rows_});
  row = each;
  return to;
}

void FewLines::operator()(const char* a, const char* b, char* out) const {
  const char* lines = by_rows_ ? b : a;
  int64_t x_row = by_rows_ ? p_.a.row : p_.b.col;
  Ref<Buffer> held_x, held;
  const char* x = dense(by_rows_ ? a : b, by_rows_ ? p_.a.col : p_.b.row, x_row, held_x);
  const bool dots = step_ == 1;
  const int64_t x_bytes = dots && k_.group > 1 ? memory_ : sum_;
  const int64_t splits = parts(p_.k, dots ? dot_steps : sweep_steps),
                groups = parts(count_, dots ? 64 : 1024), each = rows_ * count_;
  const bool direct = splits == 1 && memory_ == sum_ && (by_rows_ || rows_ == 1);
  char* sums = direct ? out : memory(held, splits * each * sum_);
  cpu::parallel_for(
      splits * groups,
      [&](int64_t i) {
        const int64_t split = i / groups, from = part(p_.k, splits, split),
                      first = part(count_, groups, i % groups),
                      lines_here = part(count_, groups, i % groups + 1) - first;
        char* to = sums + (split * each + first) * sum_;
        if (!dots)
          for (int64_t r = 0; r < rows_; ++r)
            std::memset(to + r * count_ * sum_, 0, size_t(lines_here * sum_));
        (dots ? k_.dots : k_.sweep)({x + from * x_bytes,
                                     lines + (first * line_ + from * step_) * memory_, to, x_row,
                                     count_, lines_here, line_, step_,
                                     part(p_.k, splits, split + 1) - from, int(rows_)});
      },
      double(count_) * double(p_.k) * double(memory_) / 10);
  if (!direct) finish(sums, splits, out);
}

// The sums of all splits, in order, where they belong.
void FewLines::finish(char* sums, int64_t splits, char* out) const {
  const int64_t each = rows_ * count_;
  const bool turned = !by_rows_ && rows_ > 1;
  char* to = turned || k_.round ? sums : out;
  k_.total(to, sums, splits, each, each);
  Ref<Buffer> held;
  if (turned) {
    to = k_.round ? memory(held, each * sum_) : out;
    (sum_ == 4 ? turn<uint32_t> : turn<uint64_t>)(sums, to, rows_, count_);
  }
  if (k_.round) k_.round(out, to, each);
}

}  // namespace lazulite::engine
