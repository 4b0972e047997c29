// Products by panels, where the level has kernels for the dtype: any strides, halves as they are.
#pragma once
#include "device/device.h"
#include "engine/gemm/gemm.h"
#include "engine/gemm/panels.h"

namespace lazulite::engine {

bool has_panels(Dtype type);
void panel_product(const Product& p);
void panel_product(const Product& p, const PanelKernels& k);

// What blocks of one task keep, until it is done or fails.
struct KeptBlocks : Kept {
  explicit KeptBlocks(const PanelKernels& kernels) : k(kernels) {}
  ~KeptBlocks() {
    if (k.leave) k.leave(*this);
  }
  const PanelKernels& k;
};

inline char* memory(Ref<Buffer>& held, int64_t bytes) {
  held = allocate(bytes);
  return static_cast<char*>(held->data);
}

// Part i of n, of `count` parts of equal size or one more.
inline int64_t part(int64_t n, int64_t count, int64_t i) { return n * i / count; }
inline int64_t parts(int64_t n, int64_t each) { return (n + each - 1) / each; }

}  // namespace lazulite::engine
