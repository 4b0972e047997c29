// Keys, and the state that draws without a key take theirs from.
#include <mutex>

#include "engine/random/threefry.h"
#include "graph/trace.h"
#include "ops/random/ops.h"
#include "ops/random/random.h"
#include "ops/shape/shape.h"

namespace lazulite::random {

void check_key(const array& key, const char* op) {
  if (key.shape() != Shape{2} || key.dtype() != uint32)
    fail(Kind::argument, op, "key: got ", key.dtype(), key.shape(),
         ", expected uint32(2,), as random.key and random.split give");
}
array key_or_next(const array& key) { return key ? key : next_key(); }


array key(uint64_t seed) { return array({uint32_t(seed >> 32), uint32_t(seed)}); }

array split(const array& key, int64_t num, Stream s) {
  check_key(key, "split");
  if (num < 0) fail(Kind::value, "split", "negative number of keys: got ", num);
  return record(split_op, attrs(Split{num}), {key}, s);
}

namespace {
std::mutex& lock() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

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
  const engine::Key key{words[0], words[step]};
  const auto a = engine::threefry(key, 0u, 2u), b = engine::threefry(key, 1u, 3u);
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

}  // namespace lazulite::random
