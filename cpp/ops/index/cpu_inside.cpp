// Gathers and scatters by one index array on any axis: the axes in front of it are rows of their
// own, which never meet, and those behind it blocks, or columns of their own.
#include "ops/index/positions.h"

namespace lazulite {
namespace {

// Axes [first, last) of a source, in row-major order.
struct Part {
  Shape shape;
  Strides strides;
  int64_t size = 1;

  Part(const Shape& all, const Strides& steps, int first, int last) {
    for (int i = first; i < last; ++i) {
      shape.push_back(all[i]);
      strides.push_back(steps[i]);
      size *= all[i];
    }
    SmallVector<Strides, 4> one{strides};
    if (size) collapse(shape, one);
    strides = one[0];
  }
  int64_t place(int64_t i) const {
    if (shape.size() == 1) return i * strides[0];
    int64_t at = 0;
    for (size_t d = shape.size(); d-- > 0; i /= shape[d]) at += i % shape[d] * strides[d];
    return at;
  }
};

// What one index array on an axis divides: (outer, positions, block).
struct Inside {
  const Positions at;
  const Part outer;
  const Rest block;  // of the source and of what lies dense
  const int64_t n, inner, run_step;

  Inside(const KernelCall& call, const TensorView& source, int axis, const char* caller)
      : at(places_of(call, source.shape(), source.strides(), {axis}, false), caller),
        outer(source.shape(), source.strides(), 0, axis),
        block(behind(source.shape(), axis), {},
              {behind(source.strides(), axis), dense_strides(behind(source.shape(), axis))}),
        n(at.count), inner(block.size), run_step(block.strides[0].back()) {}
  bool dense_block() const { return block.shape.size() == 1 && run_step == 1; }

 private:
  template <class List> static List behind(const List& all, int axis) {
    return List(all.begin() + axis + 1, all.end());
  }
};

// A short run, by pieces that overlap: what memcpy asks first takes as long.
inline void copy_run(char* to, const char* from, int64_t bytes) {
  auto move = [&]<class T>(int64_t i) {
    T v;
    std::memcpy(&v, from + i, sizeof v);
    std::memcpy(to + i, &v, sizeof v);
  };
  if (bytes >= 16) {
    for (int64_t i = 0; i + 16 <= bytes; i += 16) move.template operator()<Wide>(i);
    move.template operator()<Wide>(bytes - 16);
  } else if (bytes >= 8) {
    move.template operator()<uint64_t>(0);
    move.template operator()<uint64_t>(bytes - 8);
  } else if (bytes >= 4) {
    move.template operator()<uint32_t>(0);
    move.template operator()<uint32_t>(bytes - 4);
  } else {
    for (int64_t i = 0; i < bytes; ++i) to[i] = from[i];
  }
}
constexpr int64_t short_run = 256;  // bytes

// Rows of `size` elements with `width` numbers each: f(row, first, last) of pieces of rows, by all
// threads; pieces are one after the other in memory.
template <class F>
void for_pieces(int64_t rows, int64_t size, int64_t width, double cost, F&& f) {
  const int64_t piece = std::max<int64_t>(1, grain / width), parts = (size + piece - 1) / piece,
                per = parts > 1 ? 1 : std::max<int64_t>(1, piece / size);
  cpu::parallel_for((rows + per - 1) / per * parts, [&](int64_t task) {
    const int64_t first = task % parts * piece, last = std::min(size, first + piece);
    for (int64_t row = task / parts * per; row < std::min(rows, (task / parts + 1) * per); ++row)
      f(row, first, last);
  }, cost);
}

// Along an axis with others behind it: strips of columns, of which all that indices can name stays
// in cache; body(places, first column, columns, first row, rows) for rows that are best made at a
// time. Rows are all other elements of the indices, in order; those of one `apart` never meet those
// of another.
constexpr int64_t strip_bytes = 512 << 10, narrowest = 16;

struct Strips {
  const TensorView& index;
  const Shape& source;
  const Strides& strides;
  const int axis, last;
  const int64_t columns, width, apart, rows;  // `apart` times `rows` of the index array

  Strips(const KernelCall& call, const Shape& source, const Strides& strides, int axis,
         int64_t bytes)
      : index(call.in[1]), source(source), strides(strides), axis(axis),
        last(int(source.size()) - 1), columns(index.shape()[last]),
        width(width_of(source, axis, columns, bytes)), apart(before(index.shape(), axis)),
        rows(size_of(index.shape()) / std::max<int64_t>(1, apart * columns)) {}
  int64_t count() const { return (columns + width - 1) / width; }

  // The places of a strip.
  engine::Places places(int64_t column, int64_t wide) const {
    engine::Places out;
    out.along = true;
    out.shape = index.shape();
    out.shape[last] = wide;
    out.count = size_of(out.shape);
    out.indices.push_back({index.data + column * index.strides()[last] * size_of(index.type()),
                           index.type(), axis, source[axis], strides[axis]});
    Strides rest = strides;
    rest[axis] = 0;
    out.strides = {index.strides(), rest};
    if (out.count) collapse(out.shape, out.strides);
    return out;
  }

 private:
  static int64_t before(const Shape& shape, int axis) {
    int64_t n = 1;
    for (int i = 0; i < axis; ++i) n *= shape[i];
    return n;
  }
  // What the indices can name in a row of one column.
  static int64_t width_of(const Shape& source, int axis, int64_t columns, int64_t bytes) {
    int64_t height = source[axis];
    for (int i = axis + 1; i + 1 < int(source.size()); ++i) height *= source[i];
    const int64_t fits = strip_bytes / std::max<int64_t>(1, height * bytes);
    return fits >= columns ? std::max<int64_t>(1, columns)
                           : std::min(columns, std::max(fits / narrowest, int64_t(1)) * narrowest);
  }
};

// f(places, first, n) of the positions of all rows of a strip that are worth making together.
template <class F>
void for_strip(const Strips& s, int64_t apart, int64_t strip, const char* caller, F&& f) {
  const int64_t column = strip * s.width, wide = std::min(s.width, s.columns - column);
  const engine::Places places = s.places(column, wide);
  alignas(64) int64_t at[engine::Places::piece];
  const int64_t step = column * s.strides[s.last];  // of the source
  const int64_t some = std::max<int64_t>(1, engine::Places::piece / wide);
  for (int64_t row = apart * s.rows; row < (apart + 1) * s.rows; row += some) {
    const int64_t rows = std::min(some, (apart + 1) * s.rows - row);
    for (int64_t done = 0; done < rows * wide; done += engine::Places::piece) {
      const int64_t n = std::min(engine::Places::piece, rows * wide - done);
      places.fill(row * wide + done, n, at, caller);
      // In pieces of rows: where each lies in what is dense.
      for (int64_t i = 0; i < n;) {
        const int64_t c = (done + i) % wide, m = std::min(wide - c, n - i);
        f(at + i, step, (row + (done + i) / wide) * s.columns + column + c, m);
        i += m;
      }
    }
  }
}

// Few elements of each row: the positions in as many rows as are best made at a time, which serve
// all others too.
constexpr int64_t few_of_row = 64;
void gather_few(const KernelCall& call, const Inside& in) {
  const int64_t bytes = size_of(call.out[0].type()), n = in.n, step = in.outer.strides[0],
                rows = std::min(in.outer.size, engine::Places::piece / n);
  SmallVector<int64_t, engine::Places::piece> at;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < n; ++i) at.push_back(in.at.begin()[i] + r * step);
  cpu::parallel_for((in.outer.size + rows - 1) / rows, [&](int64_t task) {
    const int64_t row = task * rows, some = std::min(rows, in.outer.size - row) * n;
    engine::gather_run(call.in[0].data + row * step * bytes, at.data(), some, bytes,
                       call.out[0].data + row * n * bytes);
    if (call.after) call.after->run(row * n, 1, 0, some);
  }, double(in.outer.size) * double(n) * 1.5);
}

}  // namespace

void gather_inside_kernel(const KernelCall& call) {
  const Gather& g = call.node.get<Gather>();
  const TensorView &source = call.in[0], &out = call.out[0];
  const Inside in(call, source, g.axes[0], g.caller);
  if (size_of(out.shape()) == 0) return;
  const int64_t bytes = size_of(out.type()), n = in.n, inner = in.inner;
  if (inner == 1 && n <= few_of_row && in.outer.shape.size() == 1) return gather_few(call, in);
  const int64_t* const at = in.at.begin();
  const double cost = double(in.outer.size) * double(n) * (1 + double(inner * bytes) * 0.1);
  for_pieces(in.outer.size, n, inner, cost, [&](int64_t row, int64_t first, int64_t last) {
    const char* x = source.data + in.outer.place(row) * bytes;
    char* to = out.data + (row * n + first) * inner * bytes;
    if (inner == 1) {
      engine::gather_run(x, at + first, last - first, bytes, to);
    } else if (in.dense_block()) {
      const int64_t run = inner * bytes;
      if (run > short_run)
        for (int64_t i = first; i < last; ++i, to += run)
          std::memcpy(to, x + at[i] * bytes, size_t(run));
      else
        for (int64_t i = first; i < last; ++i, to += run) copy_run(to, x + at[i] * bytes, run);
    } else {
      with_size(bytes, [&]<class T>() {
        for (int64_t i = first; i < last; ++i, to += inner * bytes)
          for_runs(in.block, 0, inner, [&](int64_t a, int64_t b, int64_t m) {
            const T* p = reinterpret_cast<const T*>(x) + at[i] + a;
            T* y = reinterpret_cast<T*>(to) + b;
            for (int64_t j = 0; j < m; ++j) y[j] = p[j * in.run_step];
          });
      });
    }
    if (call.after) call.after->run((row * n + first) * inner, 1, 0, (last - first) * inner);
  });
}

void scatter_inside_kernel(const KernelCall& call) {
  const Scatter& s = call.node.get<Scatter>();
  const TensorView &out = call.out[0], &given = call.in[2];
  const Inside in(call, out, s.axes[0], s.caller);
  if (size_of(given.shape()) == 0) return;
  const Dense dense(given);
  const int64_t n = in.n, inner = in.inner;
  const int64_t* const at = in.at.begin();
  with_write(s.mode, out.type(), [&]<Write mode, class T>() {
    engine::AddRun sum = nullptr;
    if constexpr (mode == Write::add) sum = engine::add_run(dtype_of<T>);
    const T* const updates = reinterpret_cast<const T*>(dense.data);
    // Rows, and where these are few parts of the blocks: what meets at one place meets in order.
    const int64_t parts =
        in.outer.size >= 4 * cpu::num_threads() || !in.dense_block()
            ? 1
            : std::clamp<int64_t>(inner / 512, 1, 2 * cpu::num_threads());
    const int64_t wide = (inner + parts - 1) / parts;
    cpu::parallel_for(in.outer.size * parts, [&](int64_t task) {
      const int64_t row = task / parts, begin = task % parts * wide,
                    width = std::min(wide, inner - begin);
      if (width <= 0) return;
      T* const to = reinterpret_cast<T*>(out.data) + in.outer.place(row) + begin;
      const T* x = updates + row * n * inner + begin;
      if (inner == 1) {
        for (int64_t i = 0; i < n; ++i) to[at[i]] = written<mode>(to[at[i]], x[i]);
      } else if (in.dense_block()) {
        for (int64_t i = 0; i < n; ++i, x += inner) {
          T* y = to + at[i];
          if (sum) sum(y, x, width);
          else
            for (int64_t j = 0; j < width; ++j) y[j] = written<mode>(y[j], x[j]);
        }
      } else {
        for (int64_t i = 0; i < n; ++i, x += inner)
          for_runs(in.block, 0, inner, [&](int64_t a, int64_t b, int64_t m) {
            T* y = to + at[i] + a;
            for (int64_t j = 0; j < m; ++j)
              y[j * in.run_step] = written<mode>(y[j * in.run_step], x[b + j]);
          });
      }
    }, double(in.outer.size) * double(n) * (1 + double(inner) * double(sizeof(T)) * 0.1));
  });
}

void gather_along_kernel(const KernelCall& call) {
  const Gather& g = call.node.get<Gather>();
  const TensorView &source = call.in[0], &out = call.out[0];
  const int64_t bytes = size_of(out.type());
  const Strips s(call, source.shape(), source.strides(), g.axes[0], bytes);
  if (size_of(out.shape()) == 0) return;
  if (s.axis == s.last || s.count() == 1)
    return engine::gather_elements(
        places_of(call, source.shape(), source.strides(), g.axes, true), source.data, bytes,
        out.data, g.caller, call.after);
  cpu::parallel_for(s.apart * s.count(), [&](int64_t task) {
    for_strip(s, task / s.count(), task % s.count(), g.caller,
              [&](const int64_t* at, int64_t step, int64_t first, int64_t n) {
                engine::gather_run(source.data + step * bytes, at, n, bytes,
                                   out.data + first * bytes);
              });
  }, double(size_of(out.shape())) * 1.5);
}

void scatter_along_kernel(const KernelCall& call) {
  const Scatter& sc = call.node.get<Scatter>();
  const TensorView &out = call.out[0], &given = call.in[2];
  if (size_of(given.shape()) == 0) return;
  const Dense dense(given);
  const Strips s(call, out.shape(), out.strides(), sc.axes[0], size_of(out.type()));
  // On the last axis a column is a row's whole place: rows are what never meets.
  const bool rows = s.axis == s.last;
  const int64_t length = s.columns,
                per = rows ? std::max<int64_t>(1, grain / length) : 1,
                tasks = rows ? (s.apart + per - 1) / per : s.apart * s.count();
  const engine::Places places =
      places_of(call, out.shape(), out.strides(), sc.axes, true);
  with_write(sc.mode, out.type(), [&]<Write mode, class T>() {
    const T* const x = reinterpret_cast<const T*>(dense.data);
    T* const to = reinterpret_cast<T*>(out.data);
    auto put = [&](const int64_t* at, T* y, int64_t first, int64_t n) {
      for (int64_t i = 0; i < n; ++i) y[at[i]] = written<mode>(y[at[i]], x[first + i]);
    };
    cpu::parallel_for(tasks, [&](int64_t task) {
      if (!rows)
        return for_strip(s, task / s.count(), task % s.count(), sc.caller,
                         [&](const int64_t* at, int64_t step, int64_t first, int64_t n) {
                           put(at, to + step, first, n);
                         });
      alignas(64) int64_t at[engine::Places::piece];
      const int64_t end = std::min(s.apart, (task + 1) * per) * length;
      for (int64_t i = task * per * length; i < end; i += engine::Places::piece) {
        const int64_t n = std::min(engine::Places::piece, end - i);
        places.fill(i, n, at, sc.caller);
        put(at, to, i, n);
      }
    }, double(size_of(given.shape())) * 2);
  });
}

}  // namespace lazulite
