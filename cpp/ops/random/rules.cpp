#include <bit>
#include <cmath>
#include <cstring>
#include <mutex>

#include "device/cpu/pool.h"
#include "device/limits.h"
#include "graph/trace.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/ops.h"
#include "ops/random/random.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite::random {
namespace {

// ---- Threefry-2x32, 20 rounds
// --------------------------------------------------------------------

struct Words {
  uint32_t x, y;
};

inline Words threefry(uint32_t k0, uint32_t k1, uint32_t x, uint32_t y) {
  const uint32_t k2 = 0x1bd11bda ^ k0 ^ k1;
#define LAZULITE_ROUND(r) x += y, y = (y << r) | (y >> (32 - r)), y ^= x;
#define LAZULITE_ROUNDS_A LAZULITE_ROUND(13) LAZULITE_ROUND(15) LAZULITE_ROUND(26) LAZULITE_ROUND(6)
#define LAZULITE_ROUNDS_B \
  LAZULITE_ROUND(17) LAZULITE_ROUND(29) LAZULITE_ROUND(16) LAZULITE_ROUND(24)
  x += k0, y += k1;
  LAZULITE_ROUNDS_A x += k1, y += k2 + 1;
  LAZULITE_ROUNDS_B x += k2, y += k0 + 2;
  LAZULITE_ROUNDS_A x += k0, y += k1 + 3;
  LAZULITE_ROUNDS_B x += k1, y += k2 + 4;
  LAZULITE_ROUNDS_A x += k2, y += k0 + 5;
#undef LAZULITE_ROUND
#undef LAZULITE_ROUNDS_A
#undef LAZULITE_ROUNDS_B
  return {x, y};
}

// The numbers of counters (low + j, high) for j < n; low + n does not pass 2^32.
void fill32(Words key, uint32_t low, uint32_t high, int64_t n, uint32_t* __restrict out) {
  for (int64_t j = 0; j < n; ++j) out[j] = threefry(key.x, key.y, low + uint32_t(j), high).x;
}
void fill64(Words key, uint32_t low, uint32_t high, int64_t n, uint32_t* __restrict out) {
  for (int64_t j = 0; j < n; ++j) {
    const Words w = threefry(key.x, key.y, low + uint32_t(j), high);
    out[2 * j] = w.x;  // the low half of a uint64
    out[2 * j + 1] = w.y;
  }
}
static_assert(std::endian::native == std::endian::little);

// The keys of a kernel's input (..., 2), whatever its layout.
struct Keys {
  explicit Keys(const Bound& in) : count(size_of(in.shape()) / 2), dense(allocate(count * 8)) {
    Storage storage{dense, 0, dense_strides(in.shape())};
    if (count) copy_strided(in, Bound{in.spec, &storage, static_cast<char*>(dense->data)});
  }
  Words operator[](int64_t i) const {
    const uint32_t* p = static_cast<const uint32_t*>(dense->data) + 2 * i;
    return {p[0], p[1]};
  }
  int64_t count;
  Ref<Buffer> dense;
};

Shape lanes_of_key(const array& key) { return Shape(key.shape().begin(), key.shape().end() - 1); }

// Every op of keys alone: lanes of keys in front.
Arrays vmap_keys(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes = {0};
  return {record(*node.op, node.attributes, {batch_first(in[0], axes[0])}, node.stream)};
}

// ---- bits
// ----------------------------------------------------------------------------------------

struct Bits {
  Shape shape;
  int width;
  LAZULITE_FIELDS(shape, width)
};
Specs infer_bits(const Attrs* a, const Arrays& in) {
  const Bits& bits = static_cast<const AttrsOf<Bits>*>(a)->value;
  Shape shape = lanes_of_key(in[0]);
  shape.append(bits.shape.begin(), bits.shape.end());
  return {Spec{shape, bits.width == 8 ? uint64 : uint32}};
}
void bits_kernel(const Call& call) {
  const Bits& bits = call.node.get<Bits>();
  const int64_t each = size_of(bits.shape), total = size_of(call.out[0].shape());
  if (total == 0) return;
  const Keys keys(call.in[0]);
  uint32_t* out = reinterpret_cast<uint32_t*>(call.out[0].data);
  constexpr int64_t step = grain;
  cpu::parallel_for(
      (total + step - 1) / step,
      [&](int64_t chunk) {
        const int64_t end = std::min(total, (chunk + 1) * step);
        for (int64_t at = chunk * step; at < end;) {
          const int64_t lane = at / each, i = at % each;
          const int64_t turn = (int64_t(1) << 32) - (i & 0xffffffff);
          const int64_t n = std::min({end - at, each - i, turn});
          if (bits.width == 8) fill64(keys[lane], uint32_t(i), uint32_t(i >> 32), n, out + 2 * at);
          else fill32(keys[lane], uint32_t(i), uint32_t(i >> 32), n, out + at);
          at += n;
        }
      },
      double(total) * 8);
}
void check_keys(const char* op, const Arrays& in) {
  check_inputs(op, in, 1);
  if (in[0].ndim() == 0 || in[0].shape().back() != 2 || in[0].dtype() != uint32)
    fail(Kind::value, op, "not keys: got ", in[0].dtype(), in[0].shape(),
         ", expected uint32 (..., 2)");
}
void check_bits(const Attrs* a, const Arrays& in) {
  const Bits& bits = static_cast<const AttrsOf<Bits>*>(a)->value;
  check_keys("random_bits", in);
  check_sizes("random_bits", bits.shape);
  if (bits.width != 4 && bits.width != 8)
    fail(Kind::value, "random_bits", "unknown width: got ", bits.width);
}
const Op bits_op{.name = "random_bits",
                 .doc = "Random bits from a key.",
                 .read = read_attrs<Bits>,
                 .check = check_bits,
                 .infer = infer_bits,
                 .vmap = vmap_keys,
                 .kernel = bits_kernel};

// ---- split
// ---------------------------------------------------------------------------------------

struct Split {
  int64_t num;
  LAZULITE_FIELDS(num)
};
Specs infer_split(const Attrs* a, const Arrays& in) {
  Shape shape = lanes_of_key(in[0]);
  shape.push_back(static_cast<const AttrsOf<Split>*>(a)->value.num);
  shape.push_back(2);
  return {Spec{shape, uint32}};
}
// Counters 0 ... 2 num - 1 in two halves: word pairs (i, num + i), all first words, then all
// second.
void split_kernel(const Call& call) {
  const int64_t num = call.node.get<Split>().num;
  const Keys keys(call.in[0]);
  uint32_t* out = reinterpret_cast<uint32_t*>(call.out[0].data);
  cpu::parallel_for(
      keys.count,
      [&](int64_t lane) {
        uint32_t* to = out + lane * 2 * num;
        const Words key = keys[lane];
        for (int64_t i = 0; i < num; ++i) {
          const Words w = threefry(key.x, key.y, uint32_t(i), uint32_t(num + i));
          to[i] = w.x;
          to[num + i] = w.y;
        }
      },
      double(keys.count) * (double(num) * 10 + 50));
}
void check_split(const Attrs*, const Arrays& in) { check_keys("random_split", in); }
const Op split_op{.name = "random_split",
                  .doc = "New keys from a key.",
                  .read = read_attrs<Split>,
                  .check = check_split,
                  .infer = infer_split,
                  .vmap = vmap_keys,
                  .kernel = split_kernel};

// ---- shuffle: a random order of 0 ... n - 1
// --------------------------------------------------------

struct Shuffle {
  int64_t n;
  LAZULITE_FIELDS(n)
};
Specs infer_shuffle(const Attrs* a, const Arrays& in) {
  Shape shape = lanes_of_key(in[0]);
  shape.push_back(static_cast<const AttrsOf<Shuffle>*>(a)->value.n);
  return {Spec{shape, uint32}};
}
// The high 64 bits of bits * range, for range < 2^32: a number below range.
inline uint64_t scaled(Words w, uint64_t range) {
  return (w.y * range + (w.x * range >> 32)) >> 32;
}
// Fisher-Yates from the end; the swap of element i takes the number of counter i.
void shuffle_kernel(const Call& call) {
  const int64_t n = call.node.get<Shuffle>().n;
  const Keys keys(call.in[0]);
  uint32_t* out = reinterpret_cast<uint32_t*>(call.out[0].data);
  cpu::parallel_for(
      keys.count,
      [&](int64_t lane) {
        uint32_t* to = out + lane * n;
        const Words key = keys[lane];
        for (int64_t i = 0; i < n; ++i) to[i] = uint32_t(i);
        for (int64_t i = n - 1; i > 0; --i)
          std::swap(to[i], to[scaled(threefry(key.x, key.y, uint32_t(i), 0), uint64_t(i) + 1)]);
      },
      double(keys.count) * double(n) * 15);
}
void check_shuffle(const Attrs* a, const Arrays& in) {
  check_keys("random_order", in);
  check_sizes("random_order", {static_cast<const AttrsOf<Shuffle>*>(a)->value.n});
}
const Op shuffle_op{.name = "random_order",
                    .doc = "0 ... n - 1 in random order.",
                    .read = read_attrs<Shuffle>,
                    .check = check_shuffle,
                    .infer = infer_shuffle,
                    .vmap = vmap_keys,
                    .kernel = shuffle_kernel};

// ---- reorder: rows of x (lanes, n, rest) in the order (lanes, n), or put back
// --------------------------

struct Reorder {
  bool back;
  LAZULITE_FIELDS(back)
};
extern const Op reorder_op;
array reorder(const array& x, const array& order, bool back, Stream s = default_stream()) {
  return record(reorder_op, attrs(Reorder{back}), {x, order}, s);
}
Specs infer_reorder(const Attrs*, const Arrays& in) { return {in[0].slot().spec}; }
Arrays vjp_reorder(const Node& node, const Arrays& cts, const Needs& needs) {
  return {needs[0] ? reorder(cts[0], node.inputs[1], !node.get<Reorder>().back) : array(), array()};
}
Arrays jvp_reorder(const Node& node, const Arrays& t) {
  return {t[0] ? reorder(t[0], node.inputs[1], node.get<Reorder>().back) : array()};
}
Arrays vmap_reorder(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  return {reorder(lane_first(in[0], axes[0], lanes), lane_first(in[1], axes[1], lanes),
                  node.get<Reorder>().back, node.stream)};
}
void reorder_kernel(const Call& call) {
  const bool back = call.node.get<Reorder>().back;
  const Bound &x = call.in[0], &order = call.in[1], &to = call.out[0];
  const int64_t total = size_of(to.shape());
  if (total == 0) return;
  auto dense = [](const Bound& b, Ref<Buffer>& holder) -> const char* {
    if (b.dense()) return b.data;
    holder = allocate(size_of(b.shape()) * size_of(b.type()));
    Storage storage{holder, 0, dense_strides(b.shape())};
    copy_strided(b, Bound{b.spec, &storage, static_cast<char*>(holder->data)});
    return static_cast<const char*>(holder->data);
  };
  Ref<Buffer> held_x, held_order;
  const char* from = dense(x, held_x);
  const uint32_t* at = reinterpret_cast<const uint32_t*>(dense(order, held_order));
  const int64_t n = order.shape().back(), rows = size_of(order.shape()),
                bytes = total / rows * size_of(to.type());
  const int64_t step = std::max<int64_t>(1, 32768 / bytes);
  cpu::parallel_for(
      (rows + step - 1) / step,
      [&](int64_t chunk) {
        for (int64_t r = chunk * step; r < std::min(rows, (chunk + 1) * step); ++r) {
          if (int64_t(at[r]) >= n)
            fail(Kind::index, "reorder", "row out of range: got ", at[r], ", expected less than ",
                 n);
          const int64_t other = r / n * n + at[r];
          std::memcpy(to.data + (back ? other : r) * bytes, from + (back ? r : other) * bytes,
                      size_t(bytes));
        }
      },
      double(rows) * (3 + double(bytes) * 0.1));
}
void check_reorder(const Attrs*, const Arrays& in) {
  check_inputs("reorder", in, 2);
  const Shape &x = in[0].shape(), &order = in[1].shape();
  if (order.empty() || x.size() < order.size() ||
      !std::equal(order.begin(), order.end(), x.begin()) || in[1].dtype() != uint32)
    fail(Kind::value, "reorder", "shapes do not fit: got ", x, " and ", order);
}
const Op reorder_op{.name = "reorder",
                    .doc = "The rows in another order.",
                    .read = read_attrs<Reorder>,
                    .check = check_reorder,
                    .infer = infer_reorder,
                    .vjp = vjp_reorder,
                    .jvp = jvp_reorder,
                    .vmap = vmap_reorder,
                    .kernel = reorder_kernel};

}  // namespace
}  // namespace lazulite::random
namespace lazulite {
OpList random_ops() {
  return {&random::bits_op, &random::split_op, &random::shuffle_op, &random::reorder_op};
}
}  // namespace lazulite
namespace lazulite::random {
namespace {

// ---- help for the draws
// --------------------------------------------------------------------------

void check_key(const array& key, const char* op) {
  if (key.shape() != Shape{2} || key.dtype() != uint32)
    fail(Kind::argument, op, "key: got ", key.dtype(), key.shape(),
         ", expected uint32(2,), as random.key and random.split give");
}
array key_or_next(const array& key) { return key ? key : next_key(); }

void check_floating(Dtype t, const char* op) {
  if (!is_floating(t))
    fail(Kind::value, op, "dtype not supported: got ", t, ", expected a floating point dtype");
}
void check_shape(const Shape& shape) {
  for (int64_t n : shape)
    if (n < 0) fail(Kind::value, "random", "negative size: got ", shape);
}
Shape shape_of(const Operand& a) { return a.is_array() ? a.get().shape() : Shape{}; }
// Operands must broadcast to the shape of the draw.
void check_fits(const Operand& a, const Shape& shape, const char* op) {
  if (broadcast_shapes(shape_of(a), shape, op) != shape)
    fail(Kind::value, op, "operand too large: got shape ", shape_of(a), " for a draw of shape ",
         shape);
}
// An operand as it is in dtype t, whether number or array.
Operand in_type(const Operand& a, Dtype t, Stream s) {
  return a.is_array() ? Operand(astype(a.get(), t, s)) : a;
}

// Multiples of 2^-24 (float32) or 2^-53 (float64) in [0, 1).
array unit(const Shape& shape, Dtype t, const array& key, Stream s) {
  if (t == float64)
    return multiply(astype(right_shift(bits(shape, 8, key, s), 11, s), t, s), 0x1p-53, s);
  return multiply(astype(right_shift(bits(shape, 4, key, s), 8, s), t, s), 0x1p-24, s);
}

// The number of dtype t before v.
double before(double v, Dtype t) {
  if (t == float64) return std::nextafter(v, -INFINITY);
  if (t == float32) return double(std::nextafterf(float(v), -INFINITY));
  if (v == 0) return t == float16 ? -0x1p-24 : -0x1p-133;
  // One step down in the bits of the half.
  if (t == float16) {
    float16_t h{v};
    h.bits = uint16_t(h.bits & 0x8000 ? h.bits + 1 : h.bits - 1);
    return double(float(h));
  }
  bfloat16_t h{v};
  h.bits = uint16_t(h.bits & 0x8000 ? h.bits + 1 : h.bits - 1);
  return double(float(h));
}
array before(const array& v, Stream s) {
  const Dtype t = v.dtype(), same = t == float64 ? int64 : t == float32 ? int32 : int16;
  const array x = stop_gradient(v, s), word = view(x, same, s);
  // -0 and 0: the smallest negative number.
  const Scalar tiny = t == float64   ? Scalar(INT64_MIN + 1)
                      : t == float32 ? Scalar(INT32_MIN + 1)
                                     : Scalar(INT16_MIN + 1);
  const array down = where(less(x, 0, s), add(word, 1, s), subtract(word, 1, s), s);
  return view(where(equal(x, 0, s), constant(tiny, {}, same, s), down, s), t, s);
}

std::mutex& lock() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

constexpr double root_two = 1.4142135623730951;

}  // namespace

// ---- keys
// ----------------------------------------------------------------------------------------

array key(uint64_t seed) { return array({uint32_t(seed >> 32), uint32_t(seed)}); }

array split(const array& key, int64_t num, Stream s) {
  check_key(key, "split");
  if (num < 0) fail(Kind::value, "split", "negative number of keys: got ", num);
  return record(split_op, attrs(Split{num}), {key}, s);
}

namespace {
array& shared_key() {
  static auto* state = new array(key(0));
  return *state;
}
LAZULITE_THREAD_LOCAL std::vector<array>* own_keys = nullptr;  // of traces, the innermost last

// Both halves of split(key), of a key whose value is known: no graph grows from draw to draw, and
// no thread depends on what another one recorded.
array advance(const array& state, array& next) {
  const uint32_t* words = static_cast<const uint32_t*>(array(state).raw());
  const int64_t step = array(state).strides()[0];
  const Words a = threefry(words[0], words[step], 0, 2), b = threefry(words[0], words[step], 1, 3);
  const uint32_t first[2] = {a.x, b.x}, second[2] = {a.y, b.y};
  next = array(first, {2}, uint32, uint32);
  return array(second, {2}, uint32, uint32);
}
array split_off(array& state) {
  const array both = split(state);
  state = reshape(slice_axis(both, 0, 0, 1), {2});
  return reshape(slice_axis(both, 0, 1, 2), {2});
}
}  // namespace

array default_key() {
  if (own_keys && !own_keys->empty()) return own_keys->back();
  const std::lock_guard<std::mutex> guard(lock());
  return shared_key();
}

void set_default_key(const array& value) {
  if (own_keys && !own_keys->empty()) {
    own_keys->back() = value;
    return;
  }
  const std::lock_guard<std::mutex> guard(lock());
  shared_key() = value;
}

void push_key(const array& value) {
  thread_local std::vector<array> keys;
  own_keys = &keys;
  keys.push_back(value);
}
array pop_key() {
  array last = std::move(own_keys->back());
  own_keys->pop_back();
  return last;
}

void seed(uint64_t value) { set_default_key(key(value)); }

array next_key() {
  if (own_keys && !own_keys->empty()) return split_off(own_keys->back());
  for (;;) {
    array known = default_key();
    const bool ready = known.node()->state.load(std::memory_order_acquire) == State::ready;
    // Under a transform what another thread recorded must not be touched: its value may.
    if (!ready && current_trace()) known.eval();
    const std::lock_guard<std::mutex> guard(lock());
    if (!shared_key().same(known)) continue;  // another thread drew meanwhile
    if (!ready && !current_trace()) return split_off(shared_key());
    array next;
    array drawn = advance(known, next);
    shared_key() = std::move(next);
    return drawn;
  }
}

array bits(const Shape& shape, int width, const array& given, Stream s) {
  if (width != 4 && width != 8)
    fail(Kind::value, "bits", "width not supported: got ", width, ", expected 4 or 8");
  check_shape(shape);
  const array key = key_or_next(given);
  check_key(key, "bits");
  return record(bits_op, attrs(Bits{shape, width}), {key}, s);
}

// ---- draws
// ---------------------------------------------------------------------------------------

array uniform(const Operand& low, const Operand& high, const Shape& shape, Dtype t,
              const array& key, Stream s) {
  check_shape(shape, t, "uniform");
  check_floating(t, "uniform");
  check_fits(low, shape, "uniform");
  check_fits(high, shape, "uniform");
  const Dtype wide = compute_type(t);
  const array u = unit(shape, wide, key, s);
  if (!low.is_array() && !high.is_array()) {
    const double a = low.scalar().rounded(t).real(), b = high.scalar().rounded(t).real();
    array y = u;
    if (b - a != 1) y = multiply(y, b - a, s);
    if (a != 0) y = add(y, a, s);
    y = astype(y, t, s);
    // Rounding may reach high, which is not part of the interval.
    const bool exact = a == 0 && b == 1 && t == wide;
    return exact || !(a < b) ? y : minimum(y, before(b, t), s);
  }
  const array a = as_array(low, t, "uniform", s), b = as_array(high, t, "uniform", s);
  const array wide_a = astype(a, wide, s), wide_b = astype(b, wide, s);
  const array y = astype(add(wide_a, multiply(u, subtract(wide_b, wide_a, s), s), s), t, s);
  return where(logical_and(greater_equal(y, b, s), less(a, b, s), s), before(b, s), y, s);
}

array normal(const Shape& shape, Dtype t, const std::optional<Operand>& loc,
             const std::optional<Operand>& scale, const array& key, Stream s) {
  check_shape(shape, t, "normal");
  if (!is_inexact(t))
    fail(Kind::value, "normal", "dtype not supported: got ", t,
         ", expected a floating point or complex dtype");
  if (loc) check_fits(*loc, shape, "normal");
  if (scale) check_fits(*scale, shape, "normal");
  Shape parts = shape;
  if (is_complex(t)) parts.push_back(2);
  const Dtype wide = compute_type(real_type(t));
  const double low = wide == float64 ? -1 + 0x1p-53 : -1 + 0x1p-24;
  array x =
      multiply(erfinv(uniform(low, 1, parts, wide, key, s), s), is_complex(t) ? 1.0 : root_two, s);
  if (is_complex(t)) x = reshape(view(x, t, s), shape, s);  // variance 1 in all, half in each part
  // In the dtype asked for, rounded after each step, so that it equals scale * normal(dtype=) +
  // loc.
  x = astype(x, t, s);
  if (scale) x = multiply(x, in_type(*scale, t, s), s);
  if (loc) x = add(x, in_type(*loc, t, s), s);
  return x;
}

array bernoulli(const Operand& p, const std::optional<Shape>& shape, const array& key, Stream s) {
  const Shape to = shape ? *shape : shape_of(p);
  check_fits(p, to, "bernoulli");
  return less(uniform(0, 1, to, float32, key, s), p, s);
}

array randint(const Operand& low, const Operand& high, const Shape& shape, Dtype t,
              const array& key, Stream s) {
  check_shape(shape, t, "randint");
  if (is_bool(t)) {  // False and True are the integers 0 and 1
    for (const Operand* bound : {&low, &high})
      if (!bound->is_array() && (bound->scalar().real() < 0 || bound->scalar().real() > 2))
        fail(Kind::overflow, "randint", "number does not fit: got ", bound->scalar(),
             ", expected bounds from 0 to 2 for bool");
    return astype(randint(low, high, shape, uint8, key, s), t, s);
  }
  if (!is_integer(t))
    fail(Kind::value, "randint", "dtype not supported: got ", t,
         ", expected an integer dtype or bool");
  check_fits(low, shape, "randint");
  check_fits(high, shape, "randint");
  auto number = [](const Scalar& v) -> __int128 {
    return v.kind() == 'u' ? __int128(uint64_t(v.wrapped())) : __int128(v.wrapped());
  };
  if (!low.is_array())
    Scalar(low.scalar().kind() == 'u' ? low.scalar() : Scalar(low.scalar().wrapped()))
        .check_fits(t, "randint");
  if (!high.is_array()) {  // high itself is not drawn: the number below it must fit
    const __int128 last = number(high.scalar()) - 1;
    (last > INT64_MAX   ? Scalar(uint64_t(last))
     : last < INT64_MIN ? Scalar(INT64_MIN)
                        : Scalar(int64_t(last)))
        .check_fits(t, "randint");
  }
  if (!low.is_array() && !high.is_array() && number(low.scalar()) >= number(high.scalar()))
    fail(Kind::value, "randint", "empty interval: got low ", low.scalar(), " and high ",
         high.scalar(), ", expected low < high");
  // All in uint64, where differences wrap into place.
  auto word = [&](const Operand& a) {
    if (a.is_array())
      return astype(is_integral(a.get().dtype()) ? a.get() : astype(a.get(), int64, s), uint64, s);
    return constant(uint64_t(a.scalar().wrapped()), {}, uint64, s);
  };
  const array a = word(low), b = word(high);
  array range = subtract(b, a, s);
  if (low.is_array() || high.is_array()) {  // empty intervals give low
    // Both are signed unless one is of uint64, then a negative one is below it in any case.
    auto is_large = [](const Operand& v) {
      return v.is_array() ? v.get().dtype() == uint64 : v.scalar().kind() == 'u';
    };
    const array x = is_large(low) || is_large(high) ? a : astype(a, int64, s);
    const array y = is_large(low) || is_large(high) ? b : astype(b, int64, s);
    range = where(less(x, y, s), range, constant(1, {}, uint64, s), s);
  }
  const array draw = bits(shape, 8, key, s);
  array offset;
  // The high 64 bits of draw * range when range < 2^32; the remainder otherwise.
  if (size_of(t) <= 4 && !low.is_array() && !high.is_array()) {
    const array upper = multiply(right_shift(draw, 32, s), range, s);
    const array lower = right_shift(
        multiply(bitwise_and(draw, constant(uint64_t(0xffffffff), {}, uint64, s), s), range, s), 32,
        s);
    offset = right_shift(add(upper, lower, s), 32, s);
  } else {
    offset = remainder(draw, range, s);
  }
  return astype(add(a, offset, s), t, s);
}

array gumbel(const Shape& shape, Dtype t, const array& key, Stream s) {
  check_floating(t, "gumbel");
  const Dtype wide = compute_type(t);
  const array u =
      maximum(unit(shape, wide, key, s), wide == float64 ? 0x1p-54 : 0x1p-25, s);  // never 0
  return astype(negative(log(negative(log(u, s), s), s), s), t, s);
}

array laplace(const Shape& shape, Dtype t, double loc, double scale, const array& key, Stream s) {
  check_floating(t, "laplace");
  const Dtype wide = compute_type(t);
  const array u = uniform(wide == float64 ? -1 + 0x1p-53 : -1 + 0x1p-24, 1, shape, wide, key, s);
  array x = astype(negative(multiply(sign(u, s), log1p(negative(abs(u, s), s), s), s), s), t, s);
  if (scale != 1) x = multiply(x, scale, s);
  if (loc != 0) x = add(x, loc, s);
  return x;
}

array truncated_normal(const Operand& lower, const Operand& upper,
                       const std::optional<Shape>& shape, Dtype t, const array& key, Stream s) {
  check_floating(t, "truncated_normal");
  const Shape to =
      shape ? *shape : broadcast_shapes(shape_of(lower), shape_of(upper), "truncated_normal");
  const Dtype wide = compute_type(t);
  const array low = as_array(lower, wide, "truncated_normal", s),
              high = as_array(upper, wide, "truncated_normal", s);
  check_fits(low, to, "truncated_normal");
  check_fits(high, to, "truncated_normal");
  const array from = erf(multiply(low, 1 / root_two, s), s),
              until = erf(multiply(high, 1 / root_two, s), s);
  const array x = multiply(erfinv(uniform(from, until, to, wide, key, s), s), root_two, s);
  return astype(maximum(minimum(x, high, s), low, s), t, s);
}

array categorical(const array& logits, int axis, const std::optional<Shape>& shape,
                  const std::optional<int>& num_samples, const array& key, Stream s) {
  if (shape && num_samples)
    fail(Kind::value, "categorical", "shape and num_samples exclude each other: got both");
  if (logits.ndim() == 0)
    fail(Kind::value, "categorical", "0-d logits: got shape (), expected at least one axis");
  if (is_complex(logits.dtype()))
    fail(Kind::value, "categorical", "dtype not supported: got ", logits.dtype());
  axis = normal_axis(axis, logits.ndim(), "categorical");
  if (logits.shape(axis) == 0)
    fail(Kind::value, "categorical", "no categories: got logits of shape ", logits.shape());
  const Dtype t = logits.dtype() == float64 ? float64 : float32;
  if (num_samples) {
    if (*num_samples < 0)
      fail(Kind::value, "categorical", "negative num_samples: got ", *num_samples);
    Shape draws = logits.shape();
    draws.push_back(*num_samples);
    return argmax(add(gumbel(draws, t, key, s), expand_dims(logits, {-1}, s), s), axis, false, s);
  }
  Shape rest = logits.shape();
  rest.erase(rest.begin() + axis);
  const Shape to = shape ? *shape : rest;
  if (broadcast_shapes(rest, to, "categorical") != to)
    fail(Kind::value, "categorical", "shape does not fit: got ", to, ", expected one that ", rest,
         " broadcasts to");
  const int at = axis + int(to.size()) + 1 - logits.ndim();
  Shape draws = to;
  draws.insert(draws.begin() + at, logits.shape(axis));
  return argmax(add(gumbel(draws, t, key, s), logits, s), at, false, s);
}

array permutation(int64_t n, const array& given, Stream s) {
  if (n < 0 || n > int64_t(UINT32_MAX))
    fail(Kind::value, "permutation", "length out of range: got ", n, ", expected 0 to ",
         UINT32_MAX);
  const array key = key_or_next(given);
  check_key(key, "permutation");
  return record(shuffle_op, attrs(Shuffle{n}), {key}, s);
}

array permutation(const array& x, int axis, const array& key, Stream s) {
  if (x.ndim() == 0)
    fail(Kind::value, "permutation", "0-d array: got shape (), expected at least one axis");
  axis = normal_axis(axis, x.ndim(), "permutation");
  const array order = permutation(x.shape(axis), key, s);
  if (axis == 0) return reorder(x, order, false, s);
  return moveaxis(reorder(moveaxis(x, axis, 0, s), order, false, s), 0, axis, s);
}

}  // namespace lazulite::random
