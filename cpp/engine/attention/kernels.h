// What each instruction-set level provides to attention, besides the blocks of sums that
// convolutions have: what is done to a block of scores. It lies with one column for each query, so
// that lanes are queries and nothing is added up across a register.
#pragma once
#include <cstdint>

#include "base/dtype.h"
#include "engine/gemm/panels.h"

namespace lazulite::engine {

constexpr int64_t block_queries = 64, block_keys = 126;  // of a block of scores, at most
constexpr int64_t long_block_queries = 128;              // of a long sequence
constexpr int64_t block_keys_of_pairs = 128, part_of_pairs = 32;  // the latter see keys at a time
constexpr int64_t many_block_queries = 256;  // forward by products of pairs, of many rows
constexpr int64_t block_keys_back = 256, part_queries_back = 64;  // by tiles, of many heads

// scores[key][column], `width` columns, whole registers.
struct ScoresCall {
  void* scores;
  int64_t keys, width;
  // Column i sees keys low[i] to high[i] of this block; null: all of them.
  const int32_t *low, *high;
  void *top, *sum;  // of each column: its largest score so far, its sum of exponentials beside it
  void* decay;      // out: what the sums so far are worth beside the new largest score
};
// The way back: scores become weights, and slopes of weights those of scores.
struct SlopesCall {
  void *scores, *slopes;
  int64_t keys, width;
  const int32_t *low, *high;
  const void *ends, *mean;  // of each column
};
// The same of products of pairs, of scores that are still to be multiplied by a factor, which is
// positive; weights become a right operand whose steps are keys, `all` of them: the last are zeros.
struct PairedWeights {
  void* scores;
  int64_t keys, width, all;
  const int32_t *low, *high;
  void *top, *sum, *decay;
  float factor;
  void* to;
};
// The way back of some keys, the first of which is key `first` of those that low and high speak of.
// Weights and slopes become left operands of `lines` rows, one for each key, whose steps are
// queries; slopes become a right operand, too, as weights do above.
struct PairedSlopes {
  const void *scores, *slopes;
  int64_t keys, width, all, first, lines;
  const int32_t *low, *high;
  const void *ends, *means;
  float factor;
  void *weights, *left, *right;
  int64_t right_width;
};
// Element (key, column) is at mask[key * key_stride + column * column_stride]. Keys and columns may
// change places, as they do in rows of scores.
struct MaskCall {
  void* scores;
  int64_t keys, columns, width;
  const void* mask;
  int64_t key, column;
};
// Rows of memory's dtype as rows of sums, `to_row` apart, zeros behind their ends.
struct WidenCall {
  const void* from;
  int64_t rows, row, n;
  void* to;
  int64_t to_row;
};
// A few queries, rows of scores: lanes are keys, and numbers of keys and values, which are read
// once and as they lie.
struct FewScores {
  const void* queries;  // rows of sums, with zeros behind their ends
  int64_t query_row;
  const void* keys;  // of memory's dtype
  int64_t key_row, count, n;
  int rows;
  void* scores;
  int64_t row;
};
struct FewWeights {
  void* scores;
  int64_t row, count;
  int rows;
  const int32_t *low, *high;  // null: all
  void *top, *sum, *decay;    // as in ScoresCall
};
struct FewValues {
  const void* weights;
  int64_t row;
  const void* values;  // of memory's dtype
  int64_t value_row, count, n;
  int rows;
  void* out;  // rows of n sums
  bool add;
};
// What several parts of the keys gave: tops, sums and values of each, `count` columns and rows.
struct MergeCall {
  int64_t parts, count, width, depth;
  void *tops, *sums, *values;  // of part 0, which becomes that of all; columns `width` apart
};

// One row; see rotate.h.
struct RotateCall {
  const void *x, *cos, *sin;
  void* out;
  int64_t length, pairs;
  bool neighbours, back;
};

struct AttentionKernels {
  int lanes;
  // True where a column's decay is not 1.
  bool (*weigh)(const ScoresCall&);
  void (*slope)(const SlopesCall&);
  // Up to 4 queries at a time.
  void (*few_scores)(const FewScores&);
  bool (*few_weigh)(const FewWeights&);
  void (*few_values)(const FewValues&);
  void (*mask)(const MaskCall&), (*choose)(const MaskCall&);  // added; of bools
  void (*pack)(const PackCall&, double factor);
  void (*widen)(const WidenCall&);
  void (*merge)(const MergeCall&);
  // ends = log(sum) + top (or null), sum = 1 / sum
  void (*end)(const void* top, void* sum, void* ends, int64_t width);
  // rows[r][i] *= by[r]
  void (*decay)(void* rows, const void* by, int64_t count, int64_t n);
  // to[r][i] = rows[r][i] * by[r], rounded to memory's dtype; by null: the factor
  void (*finish)(const void* rows, const void* by, double factor, int64_t count, int64_t n,
                 void* to);
  // The sum over a row of products of two, both of memory's dtype.
  void (*dot)(const void* a, const void* b, int64_t n, void* to);
  void (*rotate)(const RotateCall&);
  // Where products of this dtype take groups of steps (PanelKernels::group); null: they do not.
  bool (*weigh_pairs)(const PairedWeights&) = nullptr;
  void (*slope_pairs)(const PairedSlopes&) = nullptr;  // by tiles alone
  // Rows of sums, `width` apart, of which so many columns become rows.
  void (*turn)(const void* rows, int64_t count, int64_t width, int64_t columns, void* to) = nullptr;
  // rows[r][i] *= by[i], of `width` columns, whole registers.
  void (*decay_columns)(void* rows, const void* by, int64_t count, int64_t width) = nullptr;
};
struct AttentionTable {
  AttentionKernels of[dtype_count];
};

}  // namespace lazulite::engine
