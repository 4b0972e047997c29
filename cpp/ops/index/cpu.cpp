// gather and scatter on the CPU: which positions index arrays name, and what goes there.
#include <optional>

#include "engine/index/masks.h"
#include "ops/index/positions.h"

namespace lazulite {
namespace {

void gather_kernel(const KernelCall& call) {
  const Gather& g = call.node.get<Gather>();
  if (g.way == Way::inside) return gather_inside_kernel(call);
  if (g.way == Way::along) return gather_along_kernel(call);
  const TensorView &source = call.in[0], &out = call.out[0];
  const engine::Places places =
      places_of(call, source.shape(), source.strides(), g.axes, false);
  const int64_t size = size_of(out.shape());
  if (size == places.count)
    return engine::gather_elements(places, source.data, size_of(out.type()), out.data, g.caller,
                           call.after);
  const Positions at(places, g.caller);
  if (size == 0) return;
  with_size(size_of(out.type()), [&]<class T>() {
    const T* from = reinterpret_cast<const T*>(source.data);
    T* to = reinterpret_cast<T*>(out.data);
    const int64_t* position = at.begin();
    const Shape block = other_axes(source.shape(), g.axes);
    const Rest rest(source.shape(), g.axes,
                    {other_axes(source.strides(), g.axes), dense_strides(block)});
    const int last = int(rest.shape.size()) - 1;
    const int64_t run_stride = rest.strides[0][last];
    if (last == 0 && std::abs(run_stride) > 1 && rest.size >= 8 && at.count >= 8)
      return engine::gather_columns(position, at.count, from, run_stride, rest.size, sizeof(T), to);
    const int64_t step = std::max<int64_t>(1, grain / rest.size);
    const int64_t some = std::max<int64_t>(1, engine::piece_after / rest.size);
    cpu::parallel_for((at.count + step - 1) / step, [&](int64_t chunk) {
      const int64_t end = std::min(at.count, (chunk + 1) * step);
      int64_t told = chunk * step;
      for (int64_t i = told; i < end; ++i) {
        for_runs(rest, 0, rest.size, [&](int64_t a, int64_t b, int64_t n) {
          const T* x = from + position[i] + a;
          T* y = to + i * rest.size + b;
          if (run_stride == 1) std::memcpy(y, x, size_t(n) * sizeof(T));
          else
            for (int64_t j = 0; j < n; ++j) y[j] = x[j * run_stride];
        });
        if (!call.after || (i + 1 - told < some && i + 1 < end)) continue;
        call.after->run(told * rest.size, 1, 0, (i + 1 - told) * rest.size);
        told = i + 1;
      }
    }, double(at.count) * double(rest.size) * double(sizeof(T)) * 0.1 + double(at.count) * 5);
  });
}

// Elements in order, on one thread: what is repeated meets in the order of the indices.
template <Write mode, class T>
void scatter_elements(const engine::Places& places, const char* updates, char* out,
                      const char* caller) {
  const T* from = reinterpret_cast<const T*>(updates);
  T* to = reinterpret_cast<T*>(out);
  alignas(64) int64_t position[engine::Places::piece];
  for (int64_t begin = 0; begin < places.count; begin += engine::Places::piece) {
    const int64_t n = std::min(engine::Places::piece, places.count - begin);
    places.fill(begin, n, position, caller);
    const T* x = from + begin;
    for (int64_t i = 0; i < n; ++i) to[position[i]] = written<mode>(to[position[i]], x[i]);
  }
}
// Blocks: threads divide the block of each position and the places where blocks go, never the order
// of what meets at one place.
template <Write mode, class T>
void scatter_blocks(const Positions& at, const Rest& rest, const char* updates, char* out,
                    int64_t reach) {
  const T* from = reinterpret_cast<const T*>(updates);
  T* to = reinterpret_cast<T*>(out);
  const int64_t* position = at.begin();
  const int last = int(rest.shape.size()) - 1;
  const int64_t stride = rest.strides[0][last];
  engine::AddRun sum = nullptr;
  if constexpr (mode == Write::add) sum = engine::add_run(dtype_of<T>);
  // Parts of rows as long as a page. Ranges are for many threads: one that reads the updates in
  // order is as fast as two or three that skip some.
  const int64_t threads = cpu::num_threads();
  const int64_t columns = std::max<int64_t>(4096 / int64_t(sizeof(T)),
                                            (rest.size + 2 * threads - 1) / (2 * threads)),
                parts = (rest.size + columns - 1) / columns;
  const bool many = at.count >= 64 && threads >= 4, dense = last == 0 && stride == 1;
  if constexpr (mode == Write::add)
    if (const auto rows = engine::add_rows(dtype_of<T>);
        rows && dense && !many && rest.size <= engine::short_row)
      return rows(to, from, position, at.count, rest.size);
  const engine::Ranges ranges(position, at.count, reach, many ? (threads + parts - 1) / parts : 1);
  cpu::parallel_for(parts * ranges.size(), [&](int64_t task) {
    const int64_t begin = task % parts * columns, n_all = std::min(columns, rest.size - begin);
    constexpr int64_t ahead = 4;
    const int64_t *number = ranges.begin(task / parts), *const end = ranges.end(task / parts);
    for (; number < end; ++number) {
      const int64_t i = *number;
      if (number + ahead < end) {
        const int64_t next = number[ahead];
        const char* x = reinterpret_cast<const char*>(from + next * rest.size + begin);
        const char* y = reinterpret_cast<const char*>(to + position[next] + begin);
        for (int64_t b = 0; b < std::min<int64_t>(n_all * int64_t(sizeof(T)), 512); b += 64) {
          __builtin_prefetch(x + b);
          if (dense) __builtin_prefetch(y + b, 1);
        }
      }
      for_runs(rest, begin, n_all, [&](int64_t a, int64_t b, int64_t n) {
        T* y = to + position[i] + a;
        const T* x = from + i * rest.size + b;
        if (sum && stride == 1) sum(y, x, n);
        else if (stride == 1)
          for (int64_t j = 0; j < n; ++j) y[j] = written<mode>(y[j], x[j]);
        else
          for (int64_t j = 0; j < n; ++j) y[j * stride] = written<mode>(y[j * stride], x[j]);
      });
    }
  }, double(at.count) * double(rest.size) * double(sizeof(T)) * 0.1 + double(at.count) * 5);
}

void scatter_kernel(const KernelCall& call) {
  const Scatter& s = call.node.get<Scatter>();
  if (s.way == Way::inside) return scatter_inside_kernel(call);
  if (s.way == Way::along) return scatter_along_kernel(call);
  const TensorView& out = call.out[0];
  const size_t count = s.axes.size();
  const engine::Places places = places_of(call, out.shape(), out.strides(), s.axes, false);
  const TensorView& given = call.in[1 + count];
  const Dense dense(given);
  const char* updates = dense.data;
  const bool elements = size_of(given.shape()) == places.count;
  const Shape block = other_axes(out.shape(), s.axes);
  std::optional<Positions> at;
  std::optional<Rest> rest;
  if (!elements) {
    at.emplace(places, s.caller);
    if (size_of(given.shape()) == 0) return;
    rest.emplace(out.shape(), s.axes,
                 std::initializer_list<Strides>{other_axes(out.strides(), s.axes),
                                                dense_strides(block)});
  }
  with_write(s.mode, out.type(), [&]<Write mode, class T>() {
    if (elements) scatter_elements<mode, T>(places, updates, out.data, s.caller);
    else scatter_blocks<mode, T>(*at, *rest, updates, out.data, size_of(out.shape()));
  });
}

void ranks_kernel(const KernelCall& call) {
  const Ranks& r = call.node.get<Ranks>();
  const TensorView& in = call.in[0];
  const Shape& shape = in.shape();
  const int64_t all = size_of(shape);
  if (all == 0) return;
  const Dense dense(in);
  const bool* mask = reinterpret_cast<const bool*>(dense.data);
  int64_t lanes = 1;
  for (int i = 0; i < r.lanes; ++i) lanes *= shape[i];
  const int64_t n = all / lanes;
  auto* out = reinterpret_cast<int64_t*>(call.out[0].data);
  cpu::parallel_for(lanes, [&](int64_t lane) {
    const bool* from = mask + lane * n;
    int64_t* to = out + lane * n;
    int64_t count = 0;
    for (int64_t i = 0; i < n; ++i) {
      to[i] = from[i] ? count : 0;
      count += from[i];
    }
    if (count > r.limit) fail_with_few_values(r.limit, count);
  }, double(all));
}

void nonzero_kernel(const KernelCall& call) {
  const Nonzero& z = call.node.get<Nonzero>();
  const TensorView& in = call.in[0];
  const Dense dense(in);
  Shape shape;
  int64_t lanes = 1;
  for (int d = 0; d < int(in.shape().size()); ++d) {
    if (d < z.lanes) lanes *= in.shape()[d];
    else shape.push_back(in.shape()[d]);
  }
  const int64_t n = size_of(shape), places = int64_t(shape.size()) * z.size;
  const bool* mask = reinterpret_cast<const bool*>(dense.data);
  auto* to = reinterpret_cast<int64_t*>(call.out[0].data);
  for (int64_t lane = 0; lane < lanes; ++lane)
    engine::true_places(mask + lane * n, shape, z.size, z.fill, to + lane * places);
}

void compress_kernel(const KernelCall& call) {
  const TensorView &in = call.in[0], &out = call.out[0];
  const Dense x(in), mask(call.in[1]);
  engine::compress(x.data, reinterpret_cast<const bool*>(mask.data), size_of(in.shape()),
                   size_of(in.type()), out.data, size_of(out.shape()));
}
void mask_set_kernel(const KernelCall& call) {
  const TensorView &in = call.in[0], &given = call.in[2];
  const Dense x(in), mask(call.in[1]), values(given);
  int64_t count = 0;
  const int64_t limit = size_of(given.shape());
  if (!engine::expand(x.data, reinterpret_cast<const bool*>(mask.data), size_of(in.shape()),
                      size_of(in.type()), values.data, limit, call.out[0].data, count))
    fail_with_few_values(limit, count);
}

// ---- counts

// Where the same few numbers come again and again each count would wait for the one before: four
// tables take turns. What is beyond them is counted behind them.
constexpr int64_t few_numbers = 1024;

template <class I>
void count_few(const I* from, int64_t n, int64_t length, int32_t* to) {
  int32_t tables[4][few_numbers + 1];
  for (auto& table : tables) std::fill_n(table, length + 1, 0);
  using Signed = std::make_signed_t<I>;
  constexpr int64_t some = 64;
  const Signed last = Signed(length - 1);
  int64_t i = 0;
  for (; i + some <= n; i += some) {
    Signed outside = 0;  // its sign, of all of them
    for (int64_t k = 0; k < some; ++k)
      outside |= Signed(from[i + k]) | Signed(last - Signed(from[i + k]));
    if (outside < 0)
      for (int64_t k = 0; k < some; ++k)
        ++tables[0][std::min(uint64_t(int64_t(from[i + k])), uint64_t(length))];
    else
      for (int64_t k = 0; k < some; k += 4)
        for (int64_t t = 0; t < 4; ++t) ++tables[t][from[i + k + t]];
  }
  for (; i < n; ++i) ++tables[0][std::min(uint64_t(int64_t(from[i])), uint64_t(length))];
  for (int64_t v = 0; v < length; ++v)
    to[v] = int32_t(uint32_t(tables[0][v]) + uint32_t(tables[1][v]) + uint32_t(tables[2][v]) +
                    uint32_t(tables[3][v]));
}
// Counts are whole numbers: parts of a row, each with a table of its own, come to the same.
template <class I>
void count_row(const I* from, int64_t n, int64_t length, int32_t* to) {
  constexpr int64_t part = 8 * grain;
  if (length > few_numbers || n < 2 * length) {
    std::fill_n(to, length, 0);
    for (int64_t i = 0; i < n; ++i)
      if (const auto v = uint64_t(int64_t(from[i])); v < uint64_t(length)) ++to[v];
    return;
  }
  const int64_t parts = (n + part - 1) / part;
  if (parts <= 1) return count_few(from, n, length, to);
  std::vector<int32_t> counts(size_t(parts * length));
  cpu::parallel_for(parts, [&](int64_t p) {
    count_few(from + p * part, std::min(part, n - p * part), length, counts.data() + p * length);
  }, double(n) * 0.5);
  std::fill_n(to, length, 0);
  for (int64_t p = 0; p < parts; ++p)
    for (int64_t v = 0; v < length; ++v) to[v] += counts[size_t(p * length + v)];
}
// In order: the sums of floating-point numbers depend on it.
template <class I, class T>
void sum_row(const I* from, const T* weights, int64_t n, int64_t length, T* to) {
  std::fill_n(to, length, T(0));
  for (int64_t i = 0; i < n; ++i)
    if (const auto v = uint64_t(int64_t(from[i])); v < uint64_t(length))
      to[v] = written<Write::add>(to[v], weights[i]);
}

void bincount_kernel(const KernelCall& call) {
  const int64_t length = call.node.get<Tallied>().length;
  const TensorView &in = call.in[0], &out = call.out[0];
  if (size_of(out.shape()) == 0) return;
  const int64_t n = in.shape().back(), rows = size_of(out.shape()) / length;
  const Dense places(in);
  auto each_row = [&](auto&& run) {
    if (rows == 1) return run(0);  // with all threads
    cpu::parallel_for(rows, run, double(rows) * double(n));
  };
  auto with_places = [&](auto&& run) {
    if (in.type() == int64) run(reinterpret_cast<const int64_t*>(places.data));
    else if (in.type() == int32) run(reinterpret_cast<const int32_t*>(places.data));
    else run(reinterpret_cast<const uint32_t*>(places.data));
  };
  if (call.in.size() == 1)
    return with_places([&](const auto* from) {
      each_row([&](int64_t r) {
        count_row(from + r * n, n, length, reinterpret_cast<int32_t*>(out.data) + r * length);
      });
    });
  const Dense weights(call.in[1]);
  dispatch(out.type(), [&]<class T>() {
    if constexpr (!is_half(dtype_of<T>))
      with_places([&](const auto* from) {
        each_row([&](int64_t r) {
          sum_row(from + r * n, reinterpret_cast<const T*>(weights.data) + r * n, n, length,
                  reinterpret_cast<T*>(out.data) + r * length);
        });
      });
  });
}

}  // namespace

void register_index(cpu::Kernels& kernels) {
  kernels[gather_op] = {gather_kernel, Absorb::after};
  kernels[scatter_op] = {scatter_kernel};
  kernels[mask_ranks_op] = {ranks_kernel};
  kernels[nonzero_op] = {nonzero_kernel};
  kernels[compress_op] = {compress_kernel};
  kernels[mask_set_op] = {mask_set_kernel};
  kernels[bincount_op] = {bincount_kernel};
}

}  // namespace lazulite
