// Sorting keys and making them, per instruction-set level.
#include "engine/sort/kernels.h"

#include "device/cpu/level.h"
#include "engine/sort/keys.h"

namespace lazulite::engine {
namespace {

template <class K>
constexpr SortKernels::Keys keys_of = {SortOf<K>::sort,       SortOf<K>::sort_lines,
                                       SortOf<K>::select,     SortOf<K>::split_keys,
                                       SortOf<K>::part_values, SortOf<K>::count,
                                       SortOf<K>::search};

// Of integers: unsigned ones as wide as their key lose their first bit.
template <class T>
using KeyOf = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
template <class T>
constexpr KeyOf<T> lift = std::is_unsigned_v<T> && sizeof(T) >= 4
                              ? std::numeric_limits<KeyOf<T>>::min()
                              : KeyOf<T>(0);

template <class T>
void encode(const void* from, int64_t n, int flip, bool, void* keys) {
  using K = KeyOf<T>;
  const T* x = static_cast<const T*>(from);
  K* y = static_cast<K*>(keys);
  for (int64_t i = 0; i < n; ++i) y[i] = K((K(x[i]) ^ lift<T>) ^ K(flip));
}
template <class T>
void decode(const void* keys, int64_t n, int flip, void* to) {
  using K = KeyOf<T>;
  const K* x = static_cast<const K*>(keys);
  T* y = static_cast<T*>(to);
  LAZULITE_NO_ALIAS  // in place, too
  for (int64_t i = 0; i < n; ++i) y[i] = T((x[i] ^ K(flip)) ^ lift<T>);
}

// Of floating-point numbers by their bits: B of the same width, infinity's bits, and those of a
// nan.
template <class B, B infinity, B nan>
void encode_float(const void* from, int64_t n, int flip, bool zeros, void* keys) {
  using K = KeyOf<B>;
  constexpr B sign = std::numeric_limits<B>::min();
  const B zero = zeros ? sign : B(0);
  const B* x = static_cast<const B*>(from);
  K* y = static_cast<K*>(keys);
  for (int64_t i = 0; i < n; ++i) {
    B b = x[i];
    b = b == zero ? B(0) : b;
    const B size = B(b & B(~sign));
    const B key = size > infinity ? nan : b < 0 ? B(b ^ B(~sign)) : b;
    y[i] = K(K(key) ^ K(flip));
  }
}
template <class B>
void decode_float(const void* keys, int64_t n, int flip, void* to) {
  using K = KeyOf<B>;
  constexpr B sign = std::numeric_limits<B>::min();
  const K* x = static_cast<const K*>(keys);
  B* y = static_cast<B*>(to);
  LAZULITE_NO_ALIAS
  for (int64_t i = 0; i < n; ++i) {
    const B key = B(x[i] ^ K(flip));
    y[i] = key < 0 ? B(key ^ B(~sign)) : key;
  }
}

void number(const int32_t* keys, int64_t n, int64_t from, int64_t* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = int64_t(uint64_t(int64_t(keys[i])) << 32) | (from + i);
}
void number_high(const int64_t* keys, int64_t n, int64_t from, int64_t* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = (keys[i] & ~int64_t(0xffffffff)) | (from + i);
}
void numbers(const int64_t* keys, int64_t n, uint32_t* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = uint32_t(keys[i]);
}
void number_short(const int32_t* keys, int64_t n, int shift, int32_t* to) {
  LAZULITE_NO_ALIAS  // in place, too
  for (int64_t i = 0; i < n; ++i) to[i] = int32_t(uint32_t(keys[i]) << shift) | int32_t(i);
}
void numbers_short(const int32_t* keys, int64_t n, int shift, uint32_t* to) {
  const uint32_t mask = (1u << shift) - 1;
  for (int64_t i = 0; i < n; ++i) to[i] = uint32_t(keys[i]) & mask;
}

constexpr SortKernels make_table() {
  SortKernels table{};
  table.keys[0] = keys_of<int32_t>;
  table.keys[1] = keys_of<int64_t>;
  auto of = [&](Dtype t, auto in, auto out) {
    table.encode[int(t)] = in;
    table.decode[int(t)] = out;
  };
  of(Dtype::bool_, encode<uint8_t>, decode<uint8_t>);
  of(Dtype::uint8, encode<uint8_t>, decode<uint8_t>);
  of(Dtype::uint16, encode<uint16_t>, decode<uint16_t>);
  of(Dtype::uint32, encode<uint32_t>, decode<uint32_t>);
  of(Dtype::uint64, encode<uint64_t>, decode<uint64_t>);
  of(Dtype::int8, encode<int8_t>, decode<int8_t>);
  of(Dtype::int16, encode<int16_t>, decode<int16_t>);
  of(Dtype::int32, encode<int32_t>, decode<int32_t>);
  of(Dtype::int64, encode<int64_t>, decode<int64_t>);
  of(Dtype::float16, encode_float<int16_t, 0x7c00, 0x7e00>, decode_float<int16_t>);
  of(Dtype::bfloat16, encode_float<int16_t, 0x7f80, 0x7fc0>, decode_float<int16_t>);
  of(Dtype::float32, encode_float<int32_t, 0x7f800000, 0x7fc00000>, decode_float<int32_t>);
  of(Dtype::float64, encode_float<int64_t, 0x7ff0000000000000, 0x7ff8000000000000>,
     decode_float<int64_t>);
  table.number = number;
  table.number_high = number_high;
  table.numbers = numbers;
  table.number_short = number_short;
  table.numbers_short = numbers_short;
  return table;
}
constexpr SortKernels table = make_table();

}  // namespace

const SortKernels& LAZULITE_AT_LEVEL(sort_kernels)();
const SortKernels& LAZULITE_AT_LEVEL(sort_kernels)() { return table; }

}  // namespace lazulite::engine
