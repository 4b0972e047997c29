// What the files of this room share: blocks of queries, what of the keys they see, and operands as
// the blocks of sums read them.
#pragma once
#include <algorithm>
#include <cstring>

#include "device/cpu/level.h"
#include "device/cpu/partial.h"
#include "device/cpu/pool.h"
#include "engine/attention/attention.h"
#include "engine/attention/kernels.h"
#include "engine/conv/kernels.h"
#include "engine/gemm/panel_product.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const AttentionTable&, attention_kernels)
LAZULITE_FILLED(AttentionTable, attention_kernels, avx512_bf16)
LAZULITE_FILLED_OVER(AttentionTable, attention_kernels, attention_kernels_filled, amx,
                     attention_kernels_of_machine)
LAZULITE_LEVELS(const PanelTable&, panel_kernels)
LAZULITE_FILLED(PanelTable, panel_kernels, avx512_bf16)
LAZULITE_FILLED_OVER(PanelTable, panel_kernels, panel_kernels_filled, amx, panel_kernels_of_machine)
LAZULITE_LEVELS(const ConvTable&, conv_kernels)

inline constexpr int64_t heads_enough = 8;  // for tasks of a key head each, on the way back
inline constexpr int64_t rows_enough = 16 * many_block_queries;  // for tasks of so many queries
inline constexpr double scores_per_ns = 15;  // multiply-adds of one thread, about

// Rows: the queries of all heads that share a key head, one head after the other.
struct Block {
  int64_t first, count;  // rows
};
// Blocks of one key head: of one head's queries each, or, where these are few, of all heads'.
struct QueryBlocks {
  int64_t size, queries, group, each, count;

  QueryBlocks(const Attention& a, int64_t most)
      : size(most), queries(a.queries), group(a.group()),
        each(parts(apart() ? queries : queries * group, size)),
        count(apart() ? each * group : each) {}
  bool apart() const { return queries >= size; }
  Block operator[](int64_t i) const {
    const int64_t rows = apart() ? queries : queries * group, at = i % each * size;
    return {i / each * rows + at, std::min(size, rows - at)};
  }
};

struct Keys {
  int64_t first, end;
  int64_t count() const { return std::max<int64_t>(0, end - first); }
};

class Heads {
 public:
  // Blocks of so many queries, or of more where products are of pairs.
  Heads(const Attention& a, const MaskView& mask, int64_t block_size, bool back,
        const AttentionLevel* level)
      : a(a),
        mask_(mask),
        pairs((level ? *level->panels : panel_kernels_of_machine()).of[index_of(a.type)]),
        k((level ? *level->kernels
           : pairs.group > 2 ? attention_kernels_of_machine()
                             : attention_kernels_filled())
              .of[index_of(a.type)]),
        sums(compute_type(a.type)),
        wide(attention_kernels().of[index_of(sums)]),
        products(sums == float64 ? conv_kernels().of_doubles : conv_kernels().of_floats),
        by_pairs(pairs.group > 1 && (back ? k.slope_pairs != nullptr : k.weigh_pairs != nullptr)),
        blocks(a, !by_pairs ? block_size
                  : back || a.batch * a.heads * a.queries < rows_enough ? long_block_queries
                                                                        : many_block_queries),
        keys_of_block(!by_pairs ? block_keys
                      : back && a.batch * a.kv_heads >= heads_enough ? block_keys_back
                                                                     : block_keys_of_pairs),
        each(size_of(a.type)),
        bytes(size_of(sums)) {}

  const Attention& a;
  const MaskView& mask_;
  const PanelKernels& pairs;
  const AttentionKernels& k;  // of memory's dtype: what weighs as `pairs` take their operands
  const Dtype sums;
  const AttentionKernels& wide;  // of sums
  const ConvKernels& products;
  const bool by_pairs;  // products are dot products of pairs, or of tiles of them
  const QueryBlocks blocks;
  const int64_t keys_of_block;
  const int64_t each, bytes;  // of an element, of a sum

  // Bytes of operands that are packed in groups of steps.
  int64_t packed(int64_t lines, int64_t steps) const {
    return lines * parts(steps, pairs.group) * pairs.group * each;
  }
  int64_t padded(int64_t n) const { return parts(n, k.lanes) * k.lanes; }

  // The keys that some row of a block sees.
  Keys seen(const Block& b) const {
    int64_t low = a.keys, high = 0;
    for_heads(b, [&](int64_t, int64_t t, int64_t, int64_t count) {
      low = std::min(low, t + a.shift - a.before);
      high = std::max(high, t + count + a.shift + a.after);
    });
    return {std::max<int64_t>(0, low), std::min(a.keys, high)};
  }
  // Whether some row does not see all of these keys; then which of them each sees.
  bool bounds(const Block& b, const Keys& keys, int32_t* low, int32_t* high) const {
    bool all = true;
    auto clamp = [&](int64_t key) {
      return int32_t(std::clamp<int64_t>(key - keys.first, 0, keys.count()));
    };
    for_heads(b, [&](int64_t, int64_t t, int64_t column, int64_t count) {
      all &=
          t + count - 1 + a.shift - a.before <= keys.first && t + a.shift + a.after + 1 >= keys.end;
      for (int64_t i = 0; i < count; ++i) {
        low[column + i] = clamp(t + i + a.shift - a.before);
        high[column + i] = clamp(t + i + a.shift + a.after + 1);
      }
    });
    return !all;
  }
  // body(head of the group, its first query, the row's place in the block, rows)
  template <class F>
  void for_heads(const Block& b, F&& body) const {
    for (int64_t r = b.first; r < b.first + b.count;) {
      const int64_t head = r / a.queries, t = r % a.queries,
                    count = std::min(b.first + b.count - r, a.queries - t);
      body(head, t, r - b.first, count);
      r += count;
    }
  }

  // `n` numbers of rows of one head, as sums: where they lie, or widened into `room`, with what
  // fills the last register. Rows far apart would share few lines of the cache.
  struct Rows {
    const char* data;
    int64_t row;
  };
  Rows rows(const HeadsView& v, int64_t batch, int64_t head, int64_t first, int64_t count,
            int64_t n, char* room) const {
    const char* from = place(v, batch, head, first);
    const int64_t apart = v.strides[2];
    if (sums == a.type && n % k.lanes == 0 && apart >= 0 && apart * bytes <= 1024)
      return {from, apart};
    k.widen({from, count, apart, n, room, padded(n)});
    return {room, padded(n)};
  }
  // The same of all rows of a block of queries.
  Rows rows_of(const HeadsView& v, int64_t batch, int64_t kv_head, const Block& b, int64_t n,
               char* room) const {
    Rows out{room, padded(n)};
    for_heads(b, [&](int64_t g, int64_t t, int64_t row, int64_t count) {
      const int64_t head = kv_head * a.group() + g;
      if (count == b.count) {
        out = rows(v, batch, head, t, count, n, room);
        return;
      }
      k.widen({place(v, batch, head, t), count, v.strides[2], n, room + row * padded(n) * bytes,
               padded(n)});
    });
    return out;
  }
  // Rows as columns, one below the other, times a factor.
  void columns_of(const Rows& rows, const Block& b, int64_t n, double factor, char* to) const {
    wide.pack({rows.data, to, b.count, padded(b.count), rows.row, 1, n}, factor);
  }

  // scores[key][column] (= or +=) rows of keys times columns.
  void times_columns(const Rows& keys, int64_t count, int64_t n, const char* columns,
                     int64_t width, char* out) const {
    const Run run{0, 0};
    for (int64_t c = 0; c < width; c += products.cols)
      by_rows(count, [&](int64_t first, int rows) {
        products.along({keys.data + first * keys.row * bytes, columns + c * bytes,
                        out + (first * width + c) * bytes, &run, 1, n, keys.row, width, width,
                        rows, int(std::min<int64_t>(products.cols, width - c)), false});
      });
  }
  // out[key][i] += the sum over a block's queries of scores[key][query] * rows[query][i].
  void times_rows(const char* scores, int64_t width, int64_t count, const Rows& rows,
                  int64_t queries, int64_t n, char* out) const {
    const Run run{0, 0};
    for (int64_t c = 0; c < n; c += products.cols)
      by_rows(count, [&](int64_t first, int of_block) {
        products.along({scores + first * width * bytes, rows.data + c * bytes,
                        out + (first * n + c) * bytes, &run, 1, queries, width, rows.row, n,
                        of_block, int(std::min<int64_t>(products.cols, n - c)), true});
      });
  }
  // out[query][i] (+)= the sum over keys of scores[key][query] * rows[key][i].
  void turned_times_rows(const char* scores, int64_t width, int64_t queries, const Rows& rows,
                         int64_t keys, int64_t n, char* out, bool add) const {
    const Run run{0, 0};
    for (int64_t c = 0; c < n; c += products.cols)
      by_rows(queries, [&](int64_t first, int of_block) {
        products.across({scores + first * bytes, rows.data + c * bytes,
                         out + (first * n + c) * bytes, &run, 1, keys, width, rows.row, n,
                         of_block, int(std::min<int64_t>(products.cols, n - c)), add});
      });
  }

  // Rows of all heads of a block of queries where they lie or, of several heads, one after the
  // other.
  struct Lines {
    const char* data;
    int64_t row;
  };
  Lines lines_of(const HeadsView& v, int64_t batch, int64_t kv_head, const Block& b, int64_t n,
                 char* room) const {
    Lines out{room, n};
    for_heads(b, [&](int64_t g, int64_t t, int64_t at, int64_t count) {
      const char* here = place(v, batch, kv_head * a.group() + g, t);
      if (count == b.count) {
        out = {here, v.strides[2]};
        return;
      }
      for (int64_t r = 0; r < count; ++r)
        std::memcpy(room + (at + r) * n * each, here + r * v.strides[2] * each, size_t(n * each));
    });
    return out;
  }
  void pack_left(const PackCall& call) const {
    (pairs.pack_left ? pairs.pack_left : pairs.pack)(call);
  }
  // The keys from the first one that counts, in whole groups of steps of any level.
  static Keys from_group(const Keys& all, int64_t first, int64_t end) {
    return {all.first + std::max<int64_t>(0, first - all.first) / steps_of_groups * steps_of_groups,
            std::min(all.end, end)};
  }
  static constexpr int64_t steps_of_groups = 32;

  // Of operands packed in groups of steps: out[row][col] (= or +=) rows times columns.
  void times_pairs(const char* rows, int64_t row_step, int64_t row_count, const char* cols,
                   int64_t width, int64_t n, int64_t steps, char* out, bool add,
                   Kept& kept) const {
    const auto block = [&](int64_t c, int64_t first, int64_t count) {
      pairs.block({rows + first * pairs.group * each, cols + c * bytes,
                   out + (first * n + c) * bytes, parts(steps, pairs.group), row_step, width, n,
                   int(count), int(std::min<int64_t>(pairs.cols, n - c)), add, 1, &kept});
    };
    if (pairs.leave) {  // blocks of one size keep what is set up
      for (int64_t first = 0; first < row_count; first += pairs.rows)
        for (int64_t c = 0; c < n; c += pairs.cols)
          block(c, first, std::min<int64_t>(pairs.rows, row_count - first));
      return;
    }
    for (int64_t c = 0; c < n; c += pairs.cols)
      by_rows(row_count, [&](int64_t first, int count) { block(c, first, count); });
  }
  const char* place(const HeadsView& v, int64_t batch, int64_t head, int64_t t) const {
    return v.data + (batch * v.strides[0] + head * v.strides[1] + t * v.strides[2]) * each;
  }

  bool masks() const { return mask_.data; }
  // Puts the mask onto the scores of a block, whose columns (or rows) are queries.
  void put_mask(int64_t batch, int64_t kv_head, const Block& b, const Keys& keys, char* scores,
                int64_t width, bool rows = false) const {
    if (!mask_.data) return;
    const int64_t* s = mask_.strides;
    for_heads(b, [&](int64_t g, int64_t t, int64_t column, int64_t count) {
      const int64_t head = kv_head * a.group() + g;
      const char* from = mask_.data + (batch * s[0] + head * s[1] + t * s[2] + keys.first * s[3]) *
                                          size_of(mask_.type);
      const MaskCall call =
          rows ? MaskCall{scores + column * width * bytes, count, keys.count(), width, from, s[2],
                          s[3]}
               : MaskCall{scores + column * bytes, keys.count(), count, width, from, s[3], s[2]};
      if (mask_.type == Dtype::bool_) wide.choose(call);
      else k.mask(call);
    });
  }

 private:
  // Pieces of about equal size, of as many rows as a block of sums has.
  template <class F>
  void by_rows(int64_t count, F&& body) const {
    const int64_t pieces = parts(count, products.rows);
    for (int64_t i = 0; i < pieces; ++i) {
      const int64_t from = part(count, pieces, i);
      body(from, int(part(count, pieces, i + 1) - from));
    }
  }
};

// One piece of memory, handed out in parts.
class Room {
 public:
  explicit Room(int64_t bytes) { next_ = memory(held_, bytes); }
  char* take(int64_t bytes) {
    char* out = next_;
    next_ += (bytes + 63) / 64 * 64;
    return out;
  }

 private:
  Ref<Buffer> held_;
  char* next_;
};

// body(chunk's first item, its end) over items of about `cost` ns each.
template <class F>
void for_items(int64_t items, double cost, F&& body) {
  const int64_t some = std::max<int64_t>(1, int64_t(20000 / (cost + 200)));
  cpu::parallel_for(
      parts(items, some),
      [&](int64_t chunk) { body(chunk * some, std::min(items, (chunk + 1) * some)); },
      double(items) * (cost + 200));
}

}  // namespace lazulite::engine
