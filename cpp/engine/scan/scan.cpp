#include "engine/scan/scan.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <thread>
#include <utility>

#include "device/cpu/move.h"
#include "device/cpu/pool.h"
#include "device/device.h"
#include "device/limits.h"
#include "engine/layout/copy.h"
#include "engine/reduce/rows.h"

namespace lazulite::engine {
namespace {

// ---- chains: pieces of a line, of which each begins where the one before it ends
// ----------------

// What all pieces up to each one combine to. A piece that finds its predecessor open makes its own
// total first, waits, says where it ends, and only then its results: of the reading twice the
// second time is of cache. Pieces are claimed in order, so what is waited for is being made.
class Chain {
 public:
  Chain(int64_t pieces, int64_t bytes)
      : bytes_(bytes), links_(new Link[size_t(pieces)]), values_(allocate(pieces * bytes)) {}

  char* value(int64_t piece) const { return static_cast<char*>(values_->data) + piece * bytes_; }
  void close(int64_t piece) const {
    links_[size_t(piece)].maker = self();
    links_[size_t(piece)].state.store(done, std::memory_order_release);
  }
  // Whether the piece before was made here, and is there: then nobody else waits meanwhile.
  bool goes_on(int64_t piece) const {
    const Link& link = links_[size_t(piece)];
    return link.state.load(std::memory_order_acquire) == done && link.maker == self();
  }
  bool wait(int64_t piece) const {  // false: it failed
    for (int i = 0;; ++i) {
      const int state = links_[size_t(piece)].state.load(std::memory_order_acquire);
      if (state != open) return state == done;
      if (i < 256) pause();
      else std::this_thread::yield();
    }
  }
  // A piece of work; one that fails does not leave others waiting.
  template <class F>
  void make(int64_t piece, F&& f) const {
    try {
      if (!f()) links_[size_t(piece)].state.store(failed, std::memory_order_release);
    } catch (...) {
      links_[size_t(piece)].state.store(failed, std::memory_order_release);
      throw;
    }
  }

 private:
  enum { open, done, failed };
  struct alignas(64) Link {
    std::atomic<int> state{open};
    const void* maker = nullptr;
  };
  static const void* self() {
    thread_local char here;
    return &here;
  }
  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  const int64_t bytes_;
  const std::unique_ptr<Link[]> links_;
  const Ref<Buffer> values_;
};

// Results that `after` is told of at a time, at least: fewer cost more than another look at them.
constexpr int64_t least_after = 2048;

// ---- along rows
// ---------------------------------------------------------------------------------

constexpr int64_t group = 8 * scan_chunk;  // of a row, that a thread takes at a time

struct RowScan {
  const ScanKernel& k;
  Rows in;
  char* out;
  Strides out_strides;  // of the axes in front, not collapsed with those of `in`
  Shape outer;
  int64_t width, length;
  bool reverse;
  const After* after;

  char* to(int64_t row) const {
    int64_t place = 0;
    for (size_t d = outer.size(); d-- > 0; row /= outer[d])
      place += row % outer[d] * out_strides[d];
    return out + place * width;
  }
  // Elements [begin, end) in the scan's own order: where they lie in a row.
  int64_t first(int64_t begin, int64_t end) const { return reverse ? length - end : begin; }
  const char* read(int64_t row, int64_t begin, int64_t end) const {
    return in.read(row, 1, first(begin, end), end - begin);
  }
  void tell(int64_t row, int64_t begin, int64_t n) const {
    if (after) after->run(row * length + begin, 1, 0, n);
  }

  // Chunks of [begin, end), one after the other; `state`: what is before them (`any`), and then
  // with them.
  void go_on(int64_t row, int64_t begin, int64_t end, bool any, char* state) const {
    alignas(16) char total[largest_scan_state];
    char* const line = to(row);
    for (int64_t i = begin; i < end; i += scan_chunk) {
      const int64_t until = std::min(end, i + scan_chunk);
      k.run(read(row, i, until), until - i, reverse, any ? state : nullptr,
            line + first(i, until) * width, any ? total : state);
      if (any) k.combine(state, total, state, 1);
      any = true;
    }
  }
  void totals(int64_t row, int64_t begin, int64_t end, char (*total)[largest_scan_state]) const {
    for (int64_t i = begin; i < end; i += scan_chunk) {
      const int64_t until = std::min(end, i + scan_chunk);
      k.run(read(row, i, until), until - i, reverse, nullptr, nullptr, *total++);
    }
  }

  void in_groups() const {
    const int64_t groups = (length + group - 1) / group, tasks = in.rows * groups;
    const Chain chain(tasks, largest_scan_state);
    const bool alone = cpu::num_threads() == 1;
    cpu::parallel_for(tasks, [&](int64_t task) {
      chain.make(task, [&] {
        const int64_t row = task / groups, g = task % groups, begin = g * group,
                      end = std::min(length, begin + group);
        char* const state = chain.value(task);
        if (g ? chain.goes_on(task - 1) : alone) {
          if (g) std::memcpy(state, chain.value(task - 1), largest_scan_state);
          go_on(row, begin, end, g > 0, state);
          chain.close(task);
        } else {
          alignas(16) char total[group / scan_chunk][largest_scan_state];
          totals(row, begin, end, total);
          if (g && !chain.wait(task - 1)) return false;
          const int64_t chunks = (end - begin + scan_chunk - 1) / scan_chunk;
          std::memcpy(state, g ? chain.value(task - 1) : total[0], largest_scan_state);
          for (int64_t c = g ? 0 : 1; c < chunks; ++c) k.combine(state, total[c], state, 1);
          chain.close(task);
          alignas(16) char local[largest_scan_state];
          if (g) std::memcpy(local, chain.value(task - 1), largest_scan_state);
          for (int64_t c = 0; c < chunks; ++c) {
            const int64_t from = begin + c * scan_chunk, until = std::min(end, from + scan_chunk);
            const bool any = g || c;
            k.run(read(row, from, until), until - from, reverse, any ? local : nullptr,
                  to(row) + first(from, until) * width, nullptr);
            if (any) k.combine(local, total[c], local, 1);
            else std::memcpy(local, total[0], largest_scan_state);
          }
        }
        tell(row, first(begin, end), end - begin);
        return true;
      });
    }, double(in.rows) * double(length) * (k.cost + 0.1));
  }

  void by_rows() const {
    const double cost = double(in.rows) * (double(length) * k.cost + 10);
    const bool runs = in.in_runs();
    const int64_t piece = std::min(length, scan_chunk);
    const int64_t per =
        runs ? std::max<int64_t>(1, grain / length)
             : length <= scan_chunk ? std::max<int64_t>(1, std::min(in.together(piece), in.rows))
                                    : in.together(piece);
    const bool one_step = outer.size() <= 1;
    const int64_t out_step = outer.size() == 1 ? out_strides[0] : 0;
    cpu::parallel_for((in.rows + per - 1) / per, [&](int64_t block) {
      const int64_t begin = block * per, count = std::min(per, in.rows - begin);
      if (runs && length > scan_chunk) {
        alignas(16) char state[largest_scan_state];
        for (int64_t r = begin; r < begin + count; ++r) go_on(r, 0, length, false, state);
      } else if (runs && one_step && in.kept.size() <= 1) {
        k.rows(in.row(begin), in.kept.empty() ? 0 : in.kept_strides[0], length, count, reverse,
               to(begin), out_step);
      } else if (runs) {
        for (int64_t r = begin; r < begin + count; ++r)
          k.run(in.row(r), length, reverse, nullptr, to(r), nullptr);
      } else {
        several(begin, count);
      }
      if (after && per * length >= least_after) tell(begin, 0, count * length);
    }, cost);
  }
  // Rows that are gathered together.
  void several(int64_t begin, int64_t count) const {
    if (length <= scan_chunk && outer.size() <= 1)
      return k.rows(in.read(begin, count, 0, length), length, length, count, reverse, to(begin),
                    out_strides.empty() ? 0 : out_strides[0]);
    std::unique_ptr<char[]> states;
    if (length > scan_chunk) states.reset(new char[size_t(count) * largest_scan_state]);
    alignas(16) char total[largest_scan_state], state[largest_scan_state];
    for (int64_t i = 0; i < length; i += scan_chunk) {
      const int64_t until = std::min(length, i + scan_chunk), n = until - i;
      const char* x = in.read(begin, count, first(i, until), n);
      for (int64_t r = 0; r < count; ++r) {
        char* const kept = states ? &states[size_t(r) * largest_scan_state] : nullptr;
        if (i) std::memcpy(state, kept, largest_scan_state);
        k.run(x + r * n * width, n, reverse, i ? state : nullptr,
              to(begin + r) + first(i, until) * width, kept ? total : nullptr);
        if (!kept) continue;
        if (i) k.combine(state, total, state, 1);
        std::memcpy(kept, i ? state : total, largest_scan_state);
      }
    }
  }
};

void scan_rows_of(const ScanKernel& k, const Scanned& s, const After* after) {
  RowScan scan{k, {}, s.out, {}, {}, size_of(s.type), s.shape[size_t(s.axis)], s.reverse, after};
  Rows& in = scan.in;
  in.data = s.from;
  in.memory = in.type = s.type;
  in.length = scan.length;
  in.reduced = {scan.length};
  in.reduced_strides = {s.from_strides[size_t(s.axis)]};
  for (int d = 0; d < s.axis; ++d) {
    in.kept.push_back(s.shape[size_t(d)]);
    in.kept_strides.push_back(s.from_strides[size_t(d)]);
    scan.outer.push_back(s.shape[size_t(d)]);
    scan.out_strides.push_back(s.out_strides[size_t(d)]);
    in.rows *= s.shape[size_t(d)];
  }
  auto join = [](Shape& shape, Strides& steps) {
    SmallVector<Strides, 4> all{steps};
    collapse(shape, all);
    steps = all[0];
  };
  join(in.kept, in.kept_strides);
  join(scan.outer, scan.out_strides);
  if (scan.length > group && in.rows < 4 * cpu::num_threads()) return scan.in_groups();
  scan.by_rows();
}

// ---- along columns
// ------------------------------------------------------------------------------

struct ColumnScan {
  static constexpr int64_t strip_bytes = 4096, gathered = 64;

  const ScanKernel& k;
  const Scanned& s;
  const After* after;
  int64_t bytes, length, from_step, out_step;
  Shape outer;  // all axes but the last and the scanned one
  Strides from_outer, out_outer;
  int64_t width = 1, neighbour = 1;  // the last axis, and its step in what is read

  // Rows [begin, end) in the scan's own order, of a strip of columns.
  struct Strip {
    const char* from;
    char* out;
    int64_t columns, start;  // start: the number of its first element in the result
  };
  void run(const Strip& strip, int64_t begin, int64_t end, char* local, const char* before,
           bool store) const {
    const int sign = s.reverse ? -1 : 1;
    auto row = [&](int64_t i) { return s.reverse ? length - 1 - i : i; };
    auto some = [&](const char* x, int64_t x_step, int64_t i, int64_t rows) {
      k.columns(x, x_step, rows, strip.columns, i == begin, local, before,
                store ? strip.out + row(i) * out_step * bytes : nullptr, sign * out_step);
    };
    if (neighbour == 1 || strip.columns == 1) {
      some(strip.from + row(begin) * from_step * bytes, sign * from_step, begin, end - begin);
      return;
    }
    for (int64_t i = begin; i < end; i += gathered) {
      const int64_t rows = std::min(gathered, end - i), lowest = s.reverse ? row(i + rows - 1) : i;
      char* const room = piece_room(gathered * strip.columns * bytes, 0);
      cpu::gather_tile(bytes, room, strip.from + lowest * from_step * bytes, rows, strip.columns,
                       from_step, neighbour);
      some(room + (s.reverse ? rows - 1 : 0) * strip.columns * bytes, sign * strip.columns, i,
           rows);
    }
  }
  void tell(const Strip& strip, int64_t begin, int64_t end) const {
    if (!after) return;
    const int64_t lowest = s.reverse ? length - end : begin;
    after->run(strip.start + lowest * out_step, end - begin, out_step, strip.columns);
  }

  void all() const {
    const int64_t threads = cpu::num_threads(), lines = size_of(outer);
    const int64_t chunks = (length + scan_rows - 1) / scan_rows;
    int64_t strip = strip_bytes / k.bytes;
    while (strip > 64 && lines * ((width + strip - 1) / strip) < 2 * threads) strip /= 2;
    strip = std::min(strip, width);
    const int64_t strips = (width + strip - 1) / strip;
    const double cost = double(lines) * double(width) * double(length) * (k.cost + 0.1);
    auto strip_at = [&](int64_t task) {
      const int64_t b = task % strips, first = b * strip;
      int64_t at = 0, to = 0, line = task / strips;
      for (size_t d = outer.size(); d-- > 0; line /= outer[d]) {
        at += line % outer[d] * from_outer[d];
        to += line % outer[d] * out_outer[d];
      }
      return Strip{s.from + (at + first * neighbour) * bytes, s.out + (to + first) * bytes,
                   std::min(strip, width - first), to + first};
    };
    const int64_t state = (strip * k.bytes + 63) / 64 * 64;
    if (chunks == 1 || lines * strips >= 2 * threads) {
      const int64_t per =
          std::max<int64_t>(1, grain / std::max<int64_t>(1, std::min(length, grain) * strip));
      cpu::parallel_for((lines * strips + per - 1) / per, [&](int64_t block) {
        char* const local = piece_room(2 * state, 1);
        char* const before = local + state;
        for (int64_t t = block * per; t < std::min(lines * strips, (block + 1) * per); ++t) {
          const Strip at = strip_at(t);
          for (int64_t c = 0; c < chunks; ++c) {
            const int64_t begin = c * scan_rows, end = std::min(length, begin + scan_rows);
            run(at, begin, end, local, c ? before : nullptr, true);
            tell(at, begin, end);
            if (c + 1 == chunks) break;
            if (c) k.combine(before, local, before, at.columns);
            else std::memcpy(before, local, size_t(at.columns * k.bytes));
          }
        }
      }, cost);
      return;
    }
    // Of narrow columns several chunks at a time.
    const int64_t per = std::clamp<int64_t>(2 * grain / (scan_rows * strip), 1, 64),
                  pieces = (chunks + per - 1) / per, tasks = lines * strips * pieces;
    const Chain chain(tasks, state);
    cpu::parallel_for(tasks, [&](int64_t task) {
      chain.make(task, [&] {
        const int64_t piece = task % pieces, first = piece * per * scan_rows,
                      until = std::min(length, first + per * scan_rows);
        const Strip at = strip_at(task / pieces);
        char* const totals = piece_room((per + 2) * state, 1);
        char* const local = totals + per * state;
        char* const before = local + state;
        const size_t bytes = size_t(at.columns * k.bytes);
        auto each = [&](auto&& f) {  // f(begin, end, the total of a chunk)
          for (int64_t i = first, c = 0; i < until; i += scan_rows, ++c)
            f(i, std::min(until, i + scan_rows), totals + c * state);
        };
        auto join = [&](char* to, const char* total, bool any) {
          if (any) k.combine(to, total, to, at.columns);
          else std::memcpy(to, total, bytes);
        };
        auto store = [&](bool made) {  // made: the totals are there
          bool any = piece > 0;
          if (any) std::memcpy(before, chain.value(task - 1), bytes);
          each([&](int64_t begin, int64_t end, char* total) {
            run(at, begin, end, made ? local : total, any ? before : nullptr, true);
            join(before, total, std::exchange(any, true));
          });
        };
        if (piece ? chain.goes_on(task - 1) : threads == 1) {
          store(false);
          std::memcpy(chain.value(task), before, bytes);
          chain.close(task);
        } else {
          each([&](int64_t begin, int64_t end, char* total) {
            run(at, begin, end, total, nullptr, false);
          });
          if (piece && !chain.wait(task - 1)) return false;
          bool any = piece > 0;
          char* const to = chain.value(task);
          if (any) std::memcpy(to, chain.value(task - 1), bytes);
          each([&](int64_t, int64_t, char* total) { join(to, total, std::exchange(any, true)); });
          chain.close(task);
          store(true);
        }
        tell(at, first, until);
        return true;
      });
    }, cost);
  }
};

void scan_columns_of(const ScanKernel& k, const Scanned& s, const After* after) {
  const size_t axis = size_t(s.axis);
  ColumnScan scan{k, s, after, size_of(s.type), s.shape[axis], s.from_strides[axis],
                  s.out_strides[axis], {}, {}, {}};
  Shape behind;
  SmallVector<Strides, 4> steps;
  steps.resize(2);
  for (size_t d = axis + 1; d < s.shape.size(); ++d) {
    behind.push_back(s.shape[d]);
    steps[0].push_back(s.from_strides[d]);
    steps[1].push_back(s.out_strides[d]);
  }
  collapse(behind, steps);
  for (size_t d = 0; d < axis; ++d) {
    scan.outer.push_back(s.shape[d]);
    scan.from_outer.push_back(s.from_strides[d]);
    scan.out_outer.push_back(s.out_strides[d]);
  }
  for (size_t d = 0; d + 1 < behind.size(); ++d) {
    scan.outer.push_back(behind[d]);
    scan.from_outer.push_back(steps[0][d]);
    scan.out_outer.push_back(steps[1][d]);
  }
  scan.width = behind.back();
  scan.neighbour = steps[0].back();
  scan.all();
}

}  // namespace

void scan_all(const ScanKernel& k, const Scanned& s, const After* after) {
  int64_t inner = 1;
  for (size_t d = size_t(s.axis) + 1; d < s.shape.size(); ++d) inner *= s.shape[d];
  if (s.shape[size_t(s.axis)] == 1 && !after) {  // one element is what it comes to
    if (s.from != s.out)
      copy(s.shape, {const_cast<char*>(s.from), s.type, s.from_strides},
           {s.out, s.type, s.out_strides});
  } else if (inner == 1) {
    scan_rows_of(k, s, after);
  } else {
    scan_columns_of(k, s, after);
  }
}

void recurrence_all(const RecurrenceKernel& k, const char* a, const char* b, Dtype type,
                    const Shape& shape, int axis, bool reverse, char* out) {
  int64_t outer = 1, inner = 1;
  for (int d = 0; d < int(shape.size()); ++d)
    (d < axis ? outer : inner) *= d == axis ? 1 : shape[size_t(d)];
  const int64_t n = shape[size_t(axis)], bytes = size_of(type);
  const double cost = double(outer * inner) * double(n) * (inner == 1 ? 2.5 : 0.5);
  if (inner == 1) {
    const int64_t per = std::max<int64_t>(1, grain / n);
    cpu::parallel_for((outer + per - 1) / per, [&](int64_t block) {
      for (int64_t r = block * per; r < std::min(outer, (block + 1) * per); ++r) {
        const int64_t at = r * n * bytes;
        k.row(a + at, b + at, n, reverse, out + at);
      }
    }, cost);
    return;
  }
  constexpr int64_t strip = 256;
  const int64_t strips = (inner + strip - 1) / strip;
  const int64_t per = std::max<int64_t>(1, grain / (n * std::min(strip, inner)));
  cpu::parallel_for((outer * strips + per - 1) / per, [&](int64_t block) {
    char* const state = piece_room(strip * k.bytes, 1);
    for (int64_t t = block * per; t < std::min(outer * strips, (block + 1) * per); ++t) {
      const int64_t first = t % strips * strip,
                    at = (t / strips * n * inner + first + (reverse ? (n - 1) * inner : 0)) * bytes;
      k.columns(a + at, b + at, reverse ? -inner : inner, n, std::min(strip, inner - first), state,
                out + at);
    }
  }, cost);
}

}  // namespace lazulite::engine
