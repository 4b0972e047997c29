// Attention, forward: a task takes a block of queries through the keys that it sees, block by
// block, and keeps of each query the largest score, the sum of exponentials beside it and the sum
// of values. Where there are few such tasks and many keys, these are split at fixed points and what
// the parts gave is merged in order.
#include "engine/attention/attention.h"

#include <cmath>
#include <cstring>

#include "device/cpu/pool.h"
#include "engine/attention/room.h"

namespace lazulite::engine {
namespace {

constexpr int64_t tasks_enough = 32, blocks_of_part = 4;  // of keys
constexpr int64_t long_queries = 1024;  // keys are read for more of so many at a time

class Forward {
 public:
  Forward(const Attention& a, const HeadsView& q, const HeadsView& k, const HeadsView& v,
          const MaskView& mask, const SinksView& sinks, char* out, char* ends,
          const AttentionLevel* level)
      : h_(a, mask, a.queries >= long_queries ? long_block_queries : block_queries, false, level),
        a_(a),
        q_(q),
        k_(k),
        v_(v),
        sinks_(sinks),
        out_(out),
        ends_(ends),
        items_(a.batch * a.kv_heads * h_.blocks.count),
        splits_(
            items_ >= tasks_enough
                ? 1
                : std::max<int64_t>(1, std::min(parts(a.keys, blocks_of_part * h_.keys_of_block),
                                                parts(tasks_enough, items_)))),
        width_(h_.padded(std::min(h_.blocks.size, a.group() * a.queries))) {}

  void operator()() {
    const double cost = double(a_.batch * a_.heads) * double(a_.queries) * double(a_.keys) *
                        double(a_.depth + a_.value_depth + 8) / scores_per_ns /
                        double(items_ * splits_);
    if (splits_ == 1) {
      for_items(items_, cost, [&](int64_t from, int64_t to) {
        Work w(*this, 1);
        for (int64_t i = from; i < to; ++i) {
          const Item item = at(i);
          const Block b = h_.blocks[item.block];
          run(item, b, h_.seen(b), w, w.top, w.sum, w.values, true);
          finish(item, b, w.top, w.sum, w.values);
        }
      });
      return;
    }
    // Of each item the parts' tops, sums and values.
    const int64_t lines = width_ * h_.bytes, each = splits_ * width_ * a_.value_depth * h_.bytes;
    Ref<Buffer> held_tops, held_sums, held_values;
    char *tops = memory(held_tops, items_ * splits_ * lines),
         *sums = memory(held_sums, items_ * splits_ * lines),
         *values = memory(held_values, items_ * each);
    for_items(items_ * splits_, cost, [&](int64_t from, int64_t to) {
      Work w(*this, 0);
      for (int64_t i = from; i < to; ++i) {
        const int64_t split = i % splits_;
        const Item item = at(i / splits_);
        const Block b = h_.blocks[item.block];
        const int64_t size = h_.keys_of_block, blocks = parts(a_.keys, size);
        const Keys seen = h_.seen(b),
                   own{std::max(seen.first, part(blocks, splits_, split) * size),
                       std::min(seen.end, part(blocks, splits_, split + 1) * size)};
        run(item, b, own, w, tops + i * lines, sums + i * lines,
            values + i / splits_ * each + split * b.count * a_.value_depth * h_.bytes, split == 0);
      }
    });
    for_items(items_, double(splits_ * width_ * a_.value_depth), [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const Item item = at(i);
        const Block b = h_.blocks[item.block];
        char *top = tops + i * splits_ * lines, *sum = sums + i * splits_ * lines;
        h_.k.merge({splits_, b.count, width_, a_.value_depth, top, sum, values + i * each});
        finish(item, b, top, sum, values + i * each);
      }
    });
  }

 private:
  struct Item {
    int64_t batch, kv_head, block;
  };
  // The last blocks first: where queries see what is in front of them, these have most to do.
  Item at(int64_t i) const {
    const int64_t heads = a_.batch * a_.kv_heads, head = i % heads;
    return {head / a_.kv_heads, head % a_.kv_heads, h_.blocks.count - 1 - i / heads};
  }

  // What one thread works with.
  struct Work {
    Work(const Forward& f, int64_t own)
        : room(size(f, own)), columns(room.take(of_columns(f))),
          queries(room.take(f.width_ * f.h_.padded(f.a_.depth) * f.h_.bytes)),
          keys(room.take(keys_of(f, f.a_.depth))), rows(room.take(keys_of(f, f.a_.value_depth))),
          scores(room.take(of_scores(f))),
          weights(room.take(f.h_.by_pairs ? f.h_.packed(f.width_, f.h_.keys_of_block) : 0)),
          decay(room.take(f.width_ * f.h_.bytes)), top(room.take(own * f.width_ * f.h_.bytes)),
          sum(room.take(own * f.width_ * f.h_.bytes)),
          values(room.take(own * f.width_ * f.a_.value_depth * f.h_.bytes)),
          turned(room.take(of_turned(f))), kept(f.h_.pairs) {}
    static int64_t size(const Forward& f, int64_t own) {
      const int64_t w = f.width_;
      return of_columns(f) + f.h_.packed(w, f.h_.keys_of_block) + keys_of(f, f.a_.depth) +
             keys_of(f, f.a_.value_depth) + of_scores(f) + of_turned(f) +
             (w * f.h_.padded(f.a_.depth) + w + own * w * (2 + f.a_.value_depth)) * f.h_.bytes +
             11 * 64;
    }
    static int64_t keys_of(const Forward& f, int64_t n) {
      return std::max(f.h_.keys_of_block * f.h_.padded(n) * f.h_.bytes,
                      std::max(f.h_.packed(f.h_.keys_of_block, n),
                               f.h_.packed(n, f.h_.keys_of_block)));
    }
    static int64_t of_scores(const Forward& f) {
      return (f.h_.keys_of_block * f.width_ + f.h_.k.lanes) * f.h_.bytes;
    }
    static int64_t of_turned(const Forward& f) {
      return f.h_.by_pairs ? f.width_ * f.a_.value_depth * f.h_.bytes : 0;
    }
    static int64_t of_columns(const Forward& f) {
      return std::max(f.a_.depth * f.width_ * f.h_.bytes, f.h_.packed(f.width_, f.a_.depth));
    }
    Room room;
    char *columns, *queries, *keys, *rows, *scores, *weights, *decay, *top, *sum, *values,
        *turned;
    KeptBlocks kept;
    int32_t low[many_block_queries], high[many_block_queries];
  };

  template <class T>
  void begin(const Item& item, const Block& b, char* top, char* sum, bool sinks) const {
    T *tops = reinterpret_cast<T*>(top), *sums = reinterpret_cast<T*>(sum);
    std::fill(tops, tops + width_, -T(INFINITY));
    std::fill(sums, sums + width_, T(0));
    if (!sinks || !sinks_.data) return;
    h_.for_heads(b, [&](int64_t g, int64_t, int64_t column, int64_t count) {
      const T sink = reinterpret_cast<const T*>(
          sinks_.data)[item.batch * sinks_.strides[0] +
                       (item.kv_head * a_.group() + g) * sinks_.strides[1]];
      std::fill(tops + column, tops + column + count, sink);
      std::fill(sums + column, sums + column + count,
                sink == -T(INFINITY) ? T(0) : sink - sink + 1);
    });
  }

  // A block of queries over some keys.
  void run(const Item& item, const Block& b, const Keys& keys, Work& w, char* top, char* sum,
           char* values, bool sinks) const {
    if (h_.sums == float64) begin<double>(item, b, top, sum, sinks);
    else begin<float>(item, b, top, sum, sinks);
    const int64_t width = h_.padded(b.count), n = a_.value_depth;
    if (keys.count() == 0) return std::fill(values, values + b.count * n * h_.bytes, char(0));
    if (2 * b.count <= h_.k.lanes) return run_few(item, b, keys, w, top, sum, values);
    if (h_.by_pairs) return run_pairs(item, b, keys, w, top, sum, values);
    h_.columns_of(h_.rows_of(q_, item.batch, item.kv_head, b, a_.depth, w.queries), b, a_.depth,
                  a_.scale, w.columns);
    // Blocks lie at fixed places, whatever a block of queries sees of them.
    for (int64_t from = keys.first / h_.keys_of_block * h_.keys_of_block; from < keys.end;
         from += h_.keys_of_block) {
      const Keys here{std::max(from, keys.first), std::min(from + h_.keys_of_block, keys.end)};
      const int64_t count = here.count();
      const bool bounded = h_.bounds(b, here, w.low, w.high);
      if (bounded)
        for (int64_t i = b.count; i < width; ++i) w.low[i] = 0, w.high[i] = int32_t(count);
      h_.times_columns(
          h_.rows(k_, item.batch, item.kv_head, here.first, count, a_.depth, w.keys), count,
          a_.depth, w.columns, width, w.scores);
      h_.put_mask(item.batch, item.kv_head, b, here, w.scores, width);
      const bool changes =
          h_.k.weigh({w.scores, count, width, bounded ? w.low : nullptr,
                      bounded ? w.high : nullptr, top, sum, w.decay});
      const bool goes_on = here.first > keys.first;
      if (goes_on && changes) h_.k.decay(values, w.decay, b.count, n);
      h_.turned_times_rows(
          w.scores, width, b.count,
          h_.rows(v_, item.batch, item.kv_head, here.first, count, n, w.rows), count, n, values,
          goes_on);
    }
  }

  // By products of pairs, columns of a part of the queries at a time, which stay in the first-level
  // cache. Values are lines of the left operand, so that weights are the right one as they are
  // made, and sums have a column for each query.
  void run_pairs(const Item& item, const Block& b, const Keys& keys, Work& w, char* top, char* sum,
                 char* values) const {
    const int64_t n = a_.value_depth, width = h_.padded(b.count), size = h_.keys_of_block;
    const Heads::Lines queries = h_.lines_of(q_, item.batch, item.kv_head, b, a_.depth, w.queries);
    h_.pairs.pack({queries.data, w.columns, b.count, width, queries.row, 1, a_.depth});
    std::memset(w.turned, 0, size_t(width * n * h_.bytes));
    for (int64_t from = keys.first / size * size; from < keys.end; from += size) {
      const Keys all = Heads::from_group({from, std::min(from + size, keys.end)}, keys.first,
                                         keys.end);
      h_.pack_left({h_.place(k_, item.batch, item.kv_head, all.first), w.keys, all.count(),
                    all.count(), k_.strides[2], 1, a_.depth});
      h_.pack_left({h_.place(v_, item.batch, item.kv_head, all.first), w.rows, n, n, 1,
                    v_.strides[2], all.count()});
      for (int64_t c = 0; c < b.count; c += part_of_pairs) {
        const Block some{b.first + c, std::min(part_of_pairs, b.count - c)};
        const Keys seen = h_.seen(some), here = Heads::from_group(all, seen.first, seen.end);
        if (here.count() == 0) continue;
        run_part(item, some, here, here.first - all.first, all.count(), w.columns + c * 2 * h_.each,
                 width, w, top + c * h_.bytes, sum + c * h_.bytes, w.turned + c * n * h_.bytes);
      }
    }
    for (int64_t c = 0; c < b.count; c += part_of_pairs) {
      const int64_t count = std::min(part_of_pairs, b.count - c);
      h_.k.turn(w.turned + c * n * h_.bytes, n, h_.padded(count), count,
                values + c * n * h_.bytes);
    }
  }
  // Some keys of a packed block of so many, without the first `skip`.
  void run_part(const Item& item, const Block& b, const Keys& here, int64_t skip, int64_t packed,
                const char* columns, int64_t columns_width, Work& w, char* top, char* sum,
                char* turned) const {
    const int64_t width = h_.padded(b.count), count = here.count(), n = a_.value_depth;
    const bool bounded = h_.bounds(b, here, w.low, w.high);
    if (bounded)
      for (int64_t i = b.count; i < width; ++i) w.low[i] = 0, w.high[i] = int32_t(count);
    h_.times_pairs(w.keys + skip * h_.pairs.group * h_.each, packed, count, columns, columns_width,
                   width, a_.depth, w.scores, false, w.kept);
    double factor = a_.scale;
    if (h_.masks() || !(factor > 0)) {
      h_.wide.finish(w.scores, nullptr, factor, count, width, w.scores);
      h_.put_mask(item.batch, item.kv_head, b, here, w.scores, width);
      factor = 1;
    }
    const bool changes = h_.k.weigh_pairs(
        {w.scores, count, width, parts(count, h_.pairs.group) * h_.pairs.group,
         bounded ? w.low : nullptr, bounded ? w.high : nullptr, top, sum, w.decay, float(factor),
         w.weights});
    if (changes) h_.k.decay_columns(turned, w.decay, n, width);
    h_.times_pairs(w.rows + skip * n * h_.each, n, n, w.weights, width, width, count, turned, true,
                   w.kept);
  }

  // Of so few queries that columns would leave lanes empty: keys and values are read once, as they
  // lie.
  void run_few(const Item& item, const Block& b, const Keys& keys, Work& w, char* top, char* sum,
               char* values) const {
    const int64_t d = h_.padded(a_.depth), n = a_.value_depth, row = h_.padded(h_.keys_of_block);
    h_.for_heads(b, [&](int64_t g, int64_t t, int64_t at, int64_t count) {
      h_.k.widen({h_.place(q_, item.batch, item.kv_head * a_.group() + g, t), count,
                  q_.strides[2], a_.depth, w.queries + at * d * h_.bytes, d});
    });
    h_.wide.finish(w.queries, nullptr, a_.scale, b.count, d, w.queries);
    auto place = [&](const HeadsView& v, int64_t key) {
      return h_.place(v, item.batch, item.kv_head, key);
    };
    for (int64_t from = keys.first / h_.keys_of_block * h_.keys_of_block; from < keys.end;
         from += h_.keys_of_block) {
      const Keys here{std::max(from, keys.first), std::min(from + h_.keys_of_block, keys.end)};
      const int64_t count = here.count();
      const int rows = int(b.count);
      const bool bounded = h_.bounds(b, here, w.low, w.high);
      h_.k.few_scores({w.queries, d, place(k_, here.first), k_.strides[2], count, a_.depth, rows,
                       w.scores, row});
      h_.put_mask(item.batch, item.kv_head, b, here, w.scores, row, true);
      const bool changes = h_.k.few_weigh({w.scores, row, count, rows, bounded ? w.low : nullptr,
                                           bounded ? w.high : nullptr, top, sum, w.decay});
      const bool goes_on = here.first > keys.first;
      if (goes_on && changes) h_.k.decay(values, w.decay, b.count, n);
      h_.k.few_values({w.scores, row, place(v_, here.first), v_.strides[2], count, n, rows, values,
                       goes_on});
    }
  }

  void finish(const Item& item, const Block& b, char* top, char* sum, char* values) const {
    const int64_t row =
        (item.batch * a_.heads + item.kv_head * a_.group()) * a_.queries + b.first;
    const int64_t width = h_.padded(b.count);
    char ends[many_block_queries * 8];
    h_.k.end(top, sum, ends_ ? ends : nullptr, width);
    if (ends_) std::memcpy(ends_ + row * h_.bytes, ends, size_t(b.count * h_.bytes));
    h_.k.finish(values, sum, 1, b.count, a_.value_depth,
                out_ + row * a_.value_depth * h_.each);
  }

  const Heads h_;
  const Attention& a_;
  const HeadsView &q_, &k_, &v_;
  const SinksView& sinks_;
  char *out_, *ends_;
  const int64_t items_, splits_, width_;
};

}  // namespace

void attend(const Attention& a, const HeadsView& q, const HeadsView& k, const HeadsView& v,
            const MaskView& mask, const SinksView& sinks, char* out, char* ends,
            const AttentionLevel* level) {
  Forward(a, q, k, v, mask, sinks, out, ends, level)();
}

}  // namespace lazulite::engine
