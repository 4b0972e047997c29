// Threefry-2x32 with 20 rounds: random bits of a key and a counter (Salmon, Moraes, Dror and Shaw,
// "Parallel random numbers: as easy as 1, 2, 3", 2011).
#pragma once
#include <cstdint>
#include <type_traits>

namespace lazulite::engine {

struct Key {
  uint32_t x, y;
};
template <class U> struct Words {
  U x, y;
};

// U: uint32_t, or a register of them (simd::Vec).
template <class U>
[[gnu::always_inline]] inline U rotate_left(U a, int n) {
  if constexpr (std::is_integral_v<U>) return (a << n) | (a >> (32 - n));
  else return U::from((a.v << n) | (a.v >> (32 - n)));
}

template <class U>
[[gnu::always_inline]] inline Words<U> threefry(Key key, U x, U y) {
  const uint32_t keys[3] = {key.x, key.y, 0x1bd11bda ^ key.x ^ key.y};
  constexpr int turns[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  x = x + U(keys[0]);
  y = y + U(keys[1]);
#pragma GCC unroll 5
  for (uint32_t i = 1; i <= 5; ++i) {
#pragma GCC unroll 4
    for (int turn : turns[(i + 1) % 2]) {
      x = x + y;
      y = rotate_left(y, turn) ^ x;
    }
    x = x + U(keys[i % 3]);
    y = y + U(keys[(i + 1) % 3] + i);
  }
  return {x, y};
}

}  // namespace lazulite::engine
