// A product with up to `few` rows, or columns: the other operand is read where it lies.
#pragma once
#include "engine/gemm/panel_product.h"

namespace lazulite::engine {

class FewLines {
 public:
  FewLines(const Product& p, const PanelKernels& k);

  bool fits() const { return rows_ <= few && (step_ == 1 || line_ == 1); }
  void operator()(const char* a, const char* b, char* out) const;

 private:
  const char* dense(const char* x, int64_t step, int64_t& row, Ref<Buffer>& held) const;
  void finish(char* sums, int64_t splits, char* out) const;

  const Product& p_;
  const PanelKernels& k_;
  const bool by_rows_;  // of the left operand there are few
  const int64_t rows_, count_, line_, step_;
  const int64_t memory_, sum_;  // bytes of an element
};

}  // namespace lazulite::engine
