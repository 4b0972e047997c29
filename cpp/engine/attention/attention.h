// Attention over arrays in memory: softmax(scale q k^T + mask) v of each head, block by block of
// queries and keys, with a softmax that goes on from block to block, so that no matrix of all
// scores is ever stored; and its derivatives, which make the blocks anew. The bits follow from
// sizes, dtype and instruction-set level, never from threads or layouts.
#pragma once
#include "base/dtype.h"
#include "base/shape.h"

namespace lazulite::engine {

// Of element 0; strides in elements, of (batch, heads, places, numbers of a head). The last one is
// 1 where there are several numbers.
struct HeadsView {
  const char* data;
  int64_t strides[4];
};

// Added to scores or, of bools, which of them count; strides of (batch, heads, queries, keys), 0
// repeats. data is null where there is none.
struct MaskView {
  const char* data = nullptr;
  Dtype type{};
  int64_t strides[4] = {};
};
// A score beside those of the keys, for which there is no value; of the dtype of sums, by (batch,
// heads).
struct SinksView {
  const char* data = nullptr;
  int64_t strides[2] = {};
};

struct Attention {
  Dtype type;  // a floating one; halves are summed in float32 and rounded once
  int64_t batch, heads, kv_heads;  // neighbouring heads share keys and values
  int64_t queries, keys, depth, value_depth;
  double scale;
  // Query t stands at place t + shift among the keys, and sees those from `before` places in front
  // of it to `after` behind it.
  int64_t shift, before, after;
  static constexpr int64_t far = int64_t(1) << 40;

  int64_t group() const { return heads / kv_heads; }
};

// Kernels of another level than the machine's, for tests.
struct PanelTable;
struct AttentionTable;
struct AttentionLevel {
  const PanelTable* panels;
  const AttentionTable* kernels;
};

// out: (batch, heads, queries, value_depth), dense. ends, if not null: the logarithm of each row's
// sum of exponentials, of the dtype of sums.
void attend(const Attention&, const HeadsView& q, const HeadsView& k, const HeadsView& v,
            const MaskView&, const SinksView&, char* out, char* ends,
            const AttentionLevel* level = nullptr);

// The gradients by q, k and v, dense, from that of the result; `out` and `ends` as attend made
// them, dense.
struct AttentionSlopes {
  HeadsView out_slope;
  const char *out, *ends;
  char *q, *k, *v;
  char* means = nullptr;  // if wanted: of each row the sum of out_slope * out, of the dtype of sums
};
void attend_back(const Attention&, const HeadsView& q, const HeadsView& k, const HeadsView& v,
                 const MaskView&, const AttentionSlopes&, const AttentionLevel* level = nullptr);

}  // namespace lazulite::engine
