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

constexpr int64_t tasks_enough = 32, keys_of_part = 4 * block_keys;
constexpr int64_t long_queries = 1024;  // keys are read for more of so many at a time

class Forward {
 public:
  Forward(const Attention& a, const HeadsView& q, const HeadsView& k, const HeadsView& v,
          const MaskView& mask, const SinksView& sinks, char* out, char* ends)
      : h_(a, mask, a.queries >= long_queries ? long_block_queries : block_queries), a_(a), q_(q),
        k_(k), v_(v), sinks_(sinks), out_(out), ends_(ends),
        items_(a.batch * a.kv_heads * h_.blocks.count),
        splits_(items_ >= tasks_enough
                    ? 1
                    : std::max<int64_t>(1, std::min(parts(a.keys, keys_of_part),
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
        const int64_t blocks = parts(a_.keys, block_keys);
        const Keys seen = h_.seen(b),
                   own{std::max(seen.first, part(blocks, splits_, split) * block_keys),
                       std::min(seen.end, part(blocks, splits_, split + 1) * block_keys)};
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
          keys(room.take(block_keys * f.h_.padded(f.a_.depth) * f.h_.bytes)),
          rows(room.take(block_keys * f.h_.padded(f.a_.value_depth) * f.h_.bytes)),
          scores(room.take((block_keys * f.width_ + f.h_.k.lanes) * f.h_.bytes)),
          weights(f.h_.pairs.group > 2 ? room.take(f.h_.packed(f.width_, block_keys)) : scores),
          decay(room.take(f.width_ * f.h_.bytes)), top(room.take(own * f.width_ * f.h_.bytes)),
          sum(room.take(own * f.width_ * f.h_.bytes)),
          values(room.take(own * f.width_ * f.a_.value_depth * f.h_.bytes)), kept(f.h_.pairs) {}
    static int64_t size(const Forward& f, int64_t own) {
      const int64_t w = f.width_, d = f.h_.padded(f.a_.depth), e = f.h_.padded(f.a_.value_depth);
      return of_columns(f) + f.h_.packed(w, block_keys) +
             (w * d + block_keys * (d + e + w) + f.h_.k.lanes + w + own * w * (2 + e)) *
                 f.h_.bytes +
             10 * 64;
    }
    static int64_t of_columns(const Forward& f) {
      return std::max(f.a_.depth * f.width_ * f.h_.bytes, f.h_.packed(f.width_, f.a_.depth));
    }
    Room room;
    char *columns, *queries, *keys, *rows, *scores, *weights, *decay, *top, *sum, *values;
    KeptBlocks kept;
    int32_t low[long_block_queries], high[long_block_queries];
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
    if (h_.by_pairs) pack_queries(item, b, w);
    else
      h_.columns_of(h_.rows_of(q_, item.batch, item.kv_head, b, a_.depth, w.queries), b, a_.depth,
                    a_.scale, w.columns);
    // Blocks lie at fixed places, whatever a block of queries sees of them.
    for (int64_t from = keys.first / block_keys * block_keys; from < keys.end; from += block_keys) {
      const Keys here{std::max(from, keys.first), std::min(from + block_keys, keys.end)};
      const int64_t count = here.count();
      const bool bounded = h_.bounds(b, here, w.low, w.high);
      if (bounded)
        for (int64_t i = b.count; i < width; ++i) w.low[i] = 0, w.high[i] = int32_t(count);
      if (h_.by_pairs) {
        const auto pack_left = h_.pairs.pack_left ? h_.pairs.pack_left : h_.pairs.pack;
        pack_left({h_.place(k_, item.batch, item.kv_head, here.first), w.keys, count, count,
                   k_.strides[2], 1, a_.depth});
        h_.times_pairs(w.keys, count, count, w.columns, width, width, a_.depth, w.scores, false,
                        w.kept);
        if (a_.scale != 1) h_.wide.finish(w.scores, nullptr, a_.scale, count, width, w.scores);
      } else {
        h_.times_columns(
            h_.rows(k_, item.batch, item.kv_head, here.first, count, a_.depth, w.keys), count,
            a_.depth, w.columns, width, w.scores);
      }
      h_.put_mask(item.batch, item.kv_head, b, here, w.scores, width);
      const bool changes =
          h_.k.weigh({w.scores, count, width, bounded ? w.low : nullptr,
                      bounded ? w.high : nullptr, top, sum, w.decay});
      const bool goes_on = here.first > keys.first;
      if (goes_on && changes) h_.k.decay(values, w.decay, b.count, n);
      if (h_.by_pairs) {
        h_.k.pair(w.scores, count, width, w.weights);
        h_.pairs.pack({h_.place(v_, item.batch, item.kv_head, here.first), w.rows, n, h_.padded(n),
                       1, v_.strides[2], count});
        h_.times_pairs(w.weights, width, b.count, w.rows, h_.padded(n), n, count, values, goes_on,
                        w.kept);
        continue;
      }
      h_.turned_times_rows(
          w.scores, width, b.count,
          h_.rows(v_, item.batch, item.kv_head, here.first, count, n, w.rows), count, n, values,
          goes_on);
    }
  }

  // Queries as columns of pairs of numbers, where they lie or, of several heads, one after the
  // other.
  void pack_queries(const Item& item, const Block& b, Work& w) const {
    const char* from = w.queries;
    int64_t row = a_.depth;
    h_.for_heads(b, [&](int64_t g, int64_t t, int64_t at, int64_t count) {
      const char* here = h_.place(q_, item.batch, item.kv_head * a_.group() + g, t);
      if (count == b.count) {
        from = here;
        row = q_.strides[2];
        return;
      }
      const int64_t bytes = a_.depth * h_.each;
      for (int64_t r = 0; r < count; ++r)
        std::memcpy(w.queries + (at + r) * bytes, here + r * q_.strides[2] * h_.each,
                    size_t(bytes));
    });
    h_.pairs.pack({from, w.columns, b.count, h_.padded(b.count), row, 1, a_.depth});
  }

  // Of so few queries that columns would leave lanes empty: keys and values are read once, as they
  // lie.
  void run_few(const Item& item, const Block& b, const Keys& keys, Work& w, char* top, char* sum,
               char* values) const {
    const int64_t d = h_.padded(a_.depth), n = a_.value_depth, row = h_.padded(block_keys);
    h_.for_heads(b, [&](int64_t g, int64_t t, int64_t at, int64_t count) {
      h_.k.widen({h_.place(q_, item.batch, item.kv_head * a_.group() + g, t), count,
                  q_.strides[2], a_.depth, w.queries + at * d * h_.bytes, d});
    });
    h_.wide.finish(w.queries, nullptr, a_.scale, b.count, d, w.queries);
    auto place = [&](const HeadsView& v, int64_t key) {
      return h_.place(v, item.batch, item.kv_head, key);
    };
    for (int64_t from = keys.first / block_keys * block_keys; from < keys.end; from += block_keys) {
      const Keys here{std::max(from, keys.first), std::min(from + block_keys, keys.end)};
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
    char ends[long_block_queries * 8];
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
            const MaskView& mask, const SinksView& sinks, char* out, char* ends) {
  Forward(a, q, k, v, mask, sinks, out, ends)();
}

}  // namespace lazulite::engine
