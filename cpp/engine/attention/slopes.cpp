// Attention, backward: with p the weights, made anew from the scores and the logarithms of their
// sums, dv = p^T dout, dp = dout v^T, ds = p (dp - mean), where mean is the sum of dout out over a
// row; dq = scale ds k, dk = scale ds^T q. A task takes blocks of keys through all queries that see
// them, and adds what these get to memory of its own, of which there are as many as the sizes say.
#include <cstring>
#include <utility>

#include "device/cpu/pool.h"
#include "engine/attention/room.h"

namespace lazulite::engine {
namespace {

constexpr int64_t tasks_enough = 16;

class Backward {
 public:
  Backward(const Attention& a, const HeadsView& q, const HeadsView& k, const HeadsView& v,
           const MaskView& mask, const AttentionSlopes& s, const AttentionLevel* level)
      : h_(a, mask, block_queries, true, level), a_(a), q_(q), k_(k), v_(v), s_(s),
        heads_(a.batch * a.kv_heads), key_blocks_(parts(a.keys, h_.keys_of_block)),
        splits_(heads_ >= heads_enough
                    ? 1
                    : std::max<int64_t>(1, std::min(key_blocks_, parts(tasks_enough, heads_)))),
        rows_(a.group() * a.queries), width_(h_.padded(std::min(h_.blocks.size, rows_))) {}

  void operator()() {
    means_ = s_.means ? s_.means : memory(held_means_, heads_ * rows_ * h_.bytes);
    for_items(heads_ * a_.group(), double(a_.queries * a_.value_depth),
              [&](int64_t from, int64_t to) {
                for (int64_t i = from; i < to; ++i) mean(i / a_.heads, i % a_.heads);
              });
    const int64_t all = heads_ * rows_ * a_.depth;
    const bool in_place = splits_ == 1 && h_.sums == a_.type;
    slopes_ = in_place ? s_.q : memory(held_slopes_, splits_ * all * h_.bytes);
    const double cost = double(rows_) * double(a_.keys) *
                        double(3 * a_.depth + 2 * a_.value_depth + 16) / scores_per_ns /
                        double(splits_);
    for_items(heads_ * splits_, cost, [&](int64_t from, int64_t to) {
      if (h_.by_pairs) {
        PairedWork w(*this);
        for (int64_t i = from; i < to; ++i) run_pairs(i / splits_, i % splits_, w);
        return;
      }
      Work w(*this);
      for (int64_t i = from; i < to; ++i) run(i / splits_, i % splits_, w);
    });
    const int64_t some = rows_ * a_.depth;
    for_items(heads_, double(some * splits_), [&](int64_t from, int64_t to) {
      Ref<Buffer> held_turned;
      for (int64_t i = from; i < to; ++i) {
        char* sums = slopes_ + i * some * h_.bytes;
        if (splits_ > 1) h_.products.total(sums, sums, splits_, all, some);
        if (h_.by_pairs) sums = turned(sums, held_turned);
        h_.k.finish(sums, nullptr, a_.scale, rows_, a_.depth, s_.q + i * some * h_.each);
      }
    });
  }

 private:
  struct Work {
    explicit Work(const Backward& f)
        : room(size(f)), columns(room.take(f.a_.depth * f.width_ * f.h_.bytes)),
          slope_columns(room.take(f.a_.value_depth * f.width_ * f.h_.bytes)),
          queries(room.take(f.width_ * f.h_.padded(f.a_.depth) * f.h_.bytes)),
          slope_rows(room.take(f.width_ * f.h_.padded(f.a_.value_depth) * f.h_.bytes)),
          keys(room.take(block_keys * f.h_.padded(f.a_.depth) * f.h_.bytes)),
          values(room.take(block_keys * f.h_.padded(f.a_.value_depth) * f.h_.bytes)),
          key_slopes(room.take(block_keys * f.a_.depth * f.h_.bytes)),
          value_slopes(room.take(block_keys * f.a_.value_depth * f.h_.bytes)),
          scores(room.take((block_keys * f.width_ + f.h_.k.lanes) * f.h_.bytes)),
          slopes(room.take((block_keys * f.width_ + f.h_.k.lanes) * f.h_.bytes)),
          ends(room.take(f.width_ * f.h_.bytes)), means(room.take(f.width_ * f.h_.bytes)) {}
    static int64_t size(const Backward& f) {
      const int64_t w = f.width_, d = f.h_.padded(f.a_.depth), e = f.h_.padded(f.a_.value_depth);
      return (2 * w * (d + e) + 2 * block_keys * (d + e + w) + 2 * f.h_.k.lanes + 2 * w) *
                 f.h_.bytes +
             12 * 64;
    }
    Room room;
    char *columns, *slope_columns, *queries, *slope_rows, *keys, *values, *key_slopes,
        *value_slopes, *scores, *slopes, *ends, *means;
    int32_t low[block_queries], high[block_queries];
  };

  void mean(int64_t batch, int64_t head) const {
    const HeadsView& ct = s_.out_slope;
    const int64_t row = (batch * a_.heads + head) * a_.queries;
    for (int64_t t = 0; t < a_.queries; ++t)
      h_.k.dot(ct.data + (batch * ct.strides[0] + head * ct.strides[1] + t * ct.strides[2]) *
                             h_.each,
               s_.out + (row + t) * a_.value_depth * h_.each, a_.value_depth,
               means_ + (row + t) * h_.bytes);
  }

  // Some blocks of keys of one key head.
  void run(int64_t item, int64_t split, Work& w) const {
    const int64_t batch = item / a_.kv_heads, head = item % a_.kv_heads, d = a_.depth,
                  e = a_.value_depth, bytes = h_.bytes;
    char* query_slopes = slopes_ + (split * heads_ + item) * rows_ * d * bytes;
    std::memset(query_slopes, 0, size_t(rows_ * d * bytes));
    for (int64_t j = part(key_blocks_, splits_, split); j < part(key_blocks_, splits_, split + 1);
         ++j) {
      const Keys all{j * block_keys, std::min(a_.keys, (j + 1) * block_keys)};
      const Heads::Rows keys = h_.rows(k_, batch, head, all.first, all.count(), d, w.keys),
                        values = h_.rows(v_, batch, head, all.first, all.count(), e, w.values);
      std::memset(w.key_slopes, 0, size_t(all.count() * d * bytes));
      std::memset(w.value_slopes, 0, size_t(all.count() * e * bytes));
      for (int64_t i = 0; i < h_.blocks.count; ++i) {
        const Block b = h_.blocks[i];
        const Keys seen = h_.seen(b), here{std::max(seen.first, all.first),
                                           std::min(seen.end, all.end)};
        if (here.count() == 0) continue;
        block(batch, head, b, here, here.first - all.first, keys, values,
              query_slopes + b.first * d * bytes, w);
      }
      const int64_t row = item * a_.keys + all.first;
      h_.k.finish(w.key_slopes, nullptr, a_.scale, all.count(), d, s_.k + row * d * h_.each);
      h_.k.finish(w.value_slopes, nullptr, 1, all.count(), e, s_.v + row * e * h_.each);
    }
  }

  // `skip`: keys of the block that none of the queries sees.
  void block(int64_t batch, int64_t head, const Block& b, const Keys& here, int64_t skip,
             Heads::Rows keys, Heads::Rows values, char* query_slopes, Work& w) const {
    const int64_t width = h_.padded(b.count), count = here.count(), bytes = h_.bytes,
                  row = (batch * a_.kv_heads + head) * rows_ + b.first;
    keys.data += skip * keys.row * bytes;
    values.data += skip * values.row * bytes;
    const bool bounded = h_.bounds(b, here, w.low, w.high);
    if (bounded)
      for (int64_t i = b.count; i < width; ++i) w.low[i] = w.high[i] = 0;
    const Heads::Rows queries = h_.rows_of(q_, batch, head, b, a_.depth, w.queries),
                      slopes = h_.rows_of(s_.out_slope, batch, head, b, a_.value_depth,
                                          w.slope_rows);
    h_.columns_of(queries, b, a_.depth, a_.scale, w.columns);
    h_.columns_of(slopes, b, a_.value_depth, 1, w.slope_columns);
    for (auto [from, to] : {std::pair{s_.ends, w.ends}, std::pair{(const char*)means_, w.means}}) {
      std::memcpy(to, from + row * bytes, size_t(b.count * bytes));
      std::memset(to + b.count * bytes, 0, size_t((width - b.count) * bytes));
    }
    h_.times_columns(keys, count, a_.depth, w.columns, width, w.scores);
    h_.put_mask(batch, head, b, here, w.scores, width);
    h_.times_columns(values, count, a_.value_depth, w.slope_columns, width, w.slopes);
    h_.k.slope({w.scores, w.slopes, count, width, bounded ? w.low : nullptr,
                bounded ? w.high : nullptr, w.ends, w.means});
    h_.times_rows(w.scores, width, count, slopes, b.count, a_.value_depth,
                  w.value_slopes + skip * a_.value_depth * bytes);
    h_.times_rows(w.slopes, width, count, queries, b.count, a_.depth,
                  w.key_slopes + skip * a_.depth * bytes);
    h_.turned_times_rows(w.slopes, width, b.count, keys, count, a_.depth, query_slopes, true);
  }

  // Of products of pairs: queries and slopes packed in each way that they are read, for the whole
  // task; keys and values, for a block of them.
  struct PairedWork {
    explicit PairedWork(const Backward& f)
        : room(size(f)),
          columns(room.take(f.of_columns(f.a_.depth))),
          slope_columns(room.take(f.of_columns(f.a_.value_depth))),
          rows(room.take(f.of_rows(f.a_.depth))),
          slope_rows(room.take(f.of_rows(f.a_.value_depth))),
          keys(room.take(f.of_keys(f.a_.depth))),
          values(room.take(f.of_keys(f.a_.value_depth))),
          turned_keys(room.take(f.h_.packed(f.a_.depth, f.h_.keys_of_block))),
          key_slopes(room.take(f.h_.keys_of_block * f.a_.depth * f.h_.bytes)),
          value_slopes(room.take(f.h_.keys_of_block * f.a_.value_depth * f.h_.bytes)),
          scores(room.take(part_of_pairs * part_queries_back * f.h_.bytes)),
          slopes(room.take(part_of_pairs * part_queries_back * f.h_.bytes)),
          weights(room.take(f.of_left())),
          left(room.take(f.of_left())),
          right(room.take(f.h_.packed(f.width_, f.h_.keys_of_block))),
          lines(room.take(f.width_ * std::max(f.a_.depth, f.a_.value_depth) * f.h_.each)),
          ends(room.take(f.width_ * f.h_.bytes)),
          means(room.take(f.width_ * f.h_.bytes)),
          kept(f.h_.pairs) {}
    static int64_t size(const Backward& f) {
      const int64_t d = f.a_.depth, e = f.a_.value_depth, keys = f.h_.keys_of_block;
      return f.of_columns(d) + f.of_columns(e) + f.of_rows(d) + f.of_rows(e) + f.of_keys(d) +
             f.of_keys(e) + f.h_.packed(d, keys) + 2 * f.of_left() + f.h_.packed(f.width_, keys) +
             (keys * (d + e) + 2 * part_of_pairs * part_queries_back + 2 * f.width_) * f.h_.bytes +
             f.width_ * std::max(d, e) * f.h_.each + 17 * 64;
    }
    Room room;
    char *columns, *slope_columns, *rows, *slope_rows, *keys, *values, *turned_keys, *key_slopes,
        *value_slopes, *scores, *slopes, *weights, *left, *right, *lines, *ends, *means;
    KeptBlocks kept;
    int32_t low[long_block_queries], high[long_block_queries];
  };
  int64_t of_columns(int64_t n) const { return h_.blocks.count * h_.packed(width_, n); }
  int64_t of_rows(int64_t n) const { return h_.blocks.count * h_.packed(h_.padded(n), width_); }
  int64_t of_keys(int64_t n) const { return h_.packed(h_.keys_of_block, n); }
  int64_t of_left() const { return h_.packed(h_.keys_of_block, width_); }

  // Queries or slopes of a block, as columns whose steps are numbers and as rows of numbers whose
  // steps are queries.
  void pack(const HeadsView& v, int64_t batch, int64_t head, int64_t block, int64_t n,
            char* columns, char* rows, char* lines) const {
    const Block b = h_.blocks[block];
    const Heads::Lines from = h_.lines_of(v, batch, head, b, n, lines);
    h_.pairs.pack({from.data, columns + block * h_.packed(width_, n), b.count, h_.padded(b.count),
                   from.row, 1, n});
    h_.pairs.pack({from.data, rows + block * h_.packed(h_.padded(n), width_), n, h_.padded(n), 1,
                   from.row, b.count});
  }

  void run_pairs(int64_t item, int64_t split, PairedWork& w) const {
    const int64_t batch = item / a_.kv_heads, head = item % a_.kv_heads, d = a_.depth,
                  e = a_.value_depth, bytes = h_.bytes, size = h_.keys_of_block;
    char* query_slopes = slopes_ + (split * heads_ + item) * rows_ * d * bytes;
    std::memset(query_slopes, 0, size_t(rows_ * d * bytes));
    for (int64_t i = 0; i < h_.blocks.count; ++i) {
      pack(q_, batch, head, i, d, w.columns, w.rows, w.lines);
      pack(s_.out_slope, batch, head, i, e, w.slope_columns, w.slope_rows, w.lines);
    }
    for (int64_t j = part(key_blocks_, splits_, split); j < part(key_blocks_, splits_, split + 1);
         ++j) {
      const Keys all{j * size, std::min(a_.keys, (j + 1) * size)};
      const int64_t count = all.count();
      const char *keys = h_.place(k_, batch, head, all.first),
                 *values = h_.place(v_, batch, head, all.first);
      h_.pack_left({keys, w.keys, count, count, k_.strides[2], 1, d});
      h_.pack_left({keys, w.turned_keys, d, d, 1, k_.strides[2], count});
      h_.pack_left({values, w.values, count, count, v_.strides[2], 1, e});
      std::memset(w.key_slopes, 0, size_t(count * d * bytes));
      std::memset(w.value_slopes, 0, size_t(count * e * bytes));
      for (int64_t i = 0; i < h_.blocks.count; ++i) {
        const Keys seen = h_.seen(h_.blocks[i]),
                   here = Heads::from_group(all, seen.first, seen.end);
        if (here.count() > 0) block_of_pairs(batch, head, i, all, here, query_slopes, w);
      }
      const int64_t row = item * a_.keys + all.first;
      h_.k.finish(w.key_slopes, nullptr, a_.scale, count, d, s_.k + row * d * h_.each);
      h_.k.finish(w.value_slopes, nullptr, 1, count, e, s_.v + row * e * h_.each);
    }
  }

  static bool meet(const Keys& one, const Keys& two) {
    return one.first < two.end && two.first < one.end;
  }
  // A part of the keys and queries at a time, whose scores and slopes stay in the first-level
  // cache.
  void block_of_pairs(int64_t batch, int64_t head, int64_t i, const Keys& all, const Keys& here,
                      char* query_slopes, PairedWork& w) const {
    const Block b = h_.blocks[i];
    const int64_t width = h_.padded(b.count), count = here.count(), bytes = h_.bytes,
                  each = h_.each, group = h_.pairs.group, d = a_.depth, e = a_.value_depth,
                  skip = here.first - all.first,
                  row = (batch * a_.kv_heads + head) * rows_ + b.first;
    // Columns behind the queries are steps of the products below: they see nothing.
    const bool bounded = h_.bounds(b, here, w.low, w.high) || b.count < width;
    for (int64_t c = b.count; c < width; ++c) w.low[c] = w.high[c] = 0;
    for (auto [from, to] : {std::pair{s_.ends, w.ends}, std::pair{(const char*)means_, w.means}}) {
      std::memcpy(to, from + row * bytes, size_t(b.count * bytes));
      std::memset(to + b.count * bytes, 0, size_t((width - b.count) * bytes));
    }
    for (int64_t first = 0; first < count; first += part_of_pairs) {
      const int64_t some = std::min(part_of_pairs, count - first), line = skip + first;
      for (int64_t c = 0; c < width; c += part_queries_back) {
        const int64_t wide = std::min(part_queries_back, width - c);
        const int64_t left = (c / group * count + first) * group * each;
        const Keys part{here.first + first, here.first + first + some};
        char* right = w.right + (first * width + 2 * c) * each;
        if (!meet(h_.seen({b.first + c, std::min(wide, b.count - c)}), part)) {
          for (int64_t at = left; at < left + wide * count * each; at += group * count * each) {
            std::memset(w.weights + at, 0, size_t(some * group * each));
            std::memset(w.left + at, 0, size_t(some * group * each));
          }
          for (int64_t r = 0; r < parts(some, group) * group; r += 2)
            std::memset(right + r * width * each, 0, size_t(2 * wide * each));
          continue;
        }
        const char *columns = w.columns + i * h_.packed(width_, d) + c * 2 * each,
                   *slope_columns = w.slope_columns + i * h_.packed(width_, e) + c * 2 * each;
        h_.times_pairs(w.keys + line * group * each, all.count(), some, columns, width, wide, d,
                       w.scores, false, w.kept);
        h_.times_pairs(w.values + line * group * each, all.count(), some, slope_columns, width,
                       wide, e, w.slopes, false, w.kept);
        double factor = a_.scale;
        if (h_.masks()) {
          h_.wide.finish(w.scores, nullptr, factor, some, wide, w.scores);
          h_.put_mask(batch, head, {b.first + c, std::min(wide, b.count - c)},
                      part, w.scores, wide);
          factor = 1;
        }
        h_.k.slope_pairs({w.scores, w.slopes, some, wide, parts(some, group) * group, first, count,
                          bounded ? w.low + c : nullptr, bounded ? w.high + c : nullptr,
                          w.ends + c * bytes, w.means + c * bytes, float(factor),
                          w.weights + left, w.left + left, right, width});
      }
    }
    h_.times_pairs(w.weights, count, count, w.slope_rows + i * h_.packed(h_.padded(e), width_),
                   h_.padded(e), e, b.count, w.value_slopes + skip * e * bytes, true, w.kept);
    h_.times_pairs(w.left, count, count, w.rows + i * h_.packed(h_.padded(d), width_),
                   h_.padded(d), d, b.count, w.key_slopes + skip * d * bytes, true, w.kept);
    h_.times_pairs(w.turned_keys + skip * d * each, d, d, w.right, width, b.count, count,
                   query_slopes + b.first * d * bytes, true, w.kept);
  }
  // Slopes of queries, of which products of pairs made columns, block by block.
  char* turned(const char* sums, Ref<Buffer>& held) const {
    char* out = memory(held, rows_ * a_.depth * h_.bytes);
    for (int64_t i = 0; i < h_.blocks.count; ++i) {
      const Block b = h_.blocks[i];
      const int64_t at = b.first * a_.depth * h_.bytes;
      h_.k.turn(sums + at, a_.depth, b.count, b.count, out + at);
    }
    return out;
  }

  const Heads h_;
  const Attention& a_;
  const HeadsView &q_, &k_, &v_;
  const AttentionSlopes& s_;
  const int64_t heads_, key_blocks_, splits_, rows_, width_;
  Ref<Buffer> held_means_, held_slopes_;
  char *means_ = nullptr, *slopes_ = nullptr;
};

}  // namespace

void attend_back(const Attention& a, const HeadsView& q, const HeadsView& k, const HeadsView& v,
                 const MaskView& mask, const AttentionSlopes& slopes,
                 const AttentionLevel* level) {
  Backward(a, q, k, v, mask, slopes, level)();
}

}  // namespace lazulite::engine
