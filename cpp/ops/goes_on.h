// How kernels whose results are finished in pieces of rows tell of them.
#pragma once
#include <atomic>
#include <vector>

#include "ops/cpu.h"

namespace lazulite {

// What goes on from a product, told of its pieces: of whole rows as soon as the last piece of
// them is there, since short parts of rows cost more than they save; of long rows piece by piece.
class GoesOn {
 public:
  GoesOn(const After& after, int64_t rows, int64_t n)
      : after_(after), n_(n), there_(n <= longest_ ? size_t(rows) : 0) {}
  static void run(void* self, int64_t row, int64_t rows, int64_t col, int64_t cols) {
    static_cast<GoesOn*>(self)->add(row, rows, col, cols);
  }

 private:
  void add(int64_t row, int64_t rows, int64_t col, int64_t cols) {
    if (cols == n_ || there_.empty()) return after_.run(row * n_ + col, rows, n_, cols);
    int64_t done = 0;  // rows before `r` that are whole, and not told yet
    for (int64_t r = row; r <= row + rows; ++r) {
      if (r < row + rows &&
          there_[size_t(r)].fetch_add(int32_t(cols), std::memory_order_acq_rel) + cols == n_) {
        ++done;
        continue;
      }
      if (done) after_.run((r - done) * n_, 1, 0, done * n_);
      done = 0;
    }
  }

  static constexpr int64_t longest_ = 4096;
  const After& after_;
  const int64_t n_;                          // columns of the result
  std::vector<std::atomic<int32_t>> there_;  // how many of each row
};

}  // namespace lazulite
