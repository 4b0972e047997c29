// The conversion of one number, with the meaning of astype: used by kernels and by constants alike.
#pragma once
#include <cstdint>
#include <type_traits>

namespace lazulite {

// Floats truncate; what does not fit gives the smallest integer of 32 bits (for types up to 32 bits
// signed, 16 bits unsigned) or of 64 bits, which then wraps; the same on every machine. Internal
// linkage: the units per instruction-set level include this.
template <class To, class From>
static constexpr To convert_number(From v) {
  static_assert(std::is_arithmetic_v<From> && std::is_arithmetic_v<To>);
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To> &&
                !std::is_same_v<To, bool>) {
    if constexpr (std::is_same_v<To, uint64_t>) {
      if (v >= From(0x1p63)) return v < From(0x1p64) ? To(v) : To(0x8000000000000000ull);
      return v >= From(-0x1p63) ? To(int64_t(v)) : To(0x8000000000000000ull);
    } else if constexpr (std::is_same_v<To, int64_t> || std::is_same_v<To, uint32_t>) {
      return v >= From(-0x1p63) && v < From(0x1p63) ? To(int64_t(v)) : To(INT64_MIN);
    } else {
      return To(v >= From(-0x1p31) && v < From(0x1p31) ? int32_t(v) : INT32_MIN);
    }
  } else if constexpr (std::is_same_v<To, bool>) {
    return v != 0;
  } else {
    return To(v);
  }
}

}  // namespace lazulite
