// What the engine of Fourier transforms asks of an instruction-set level: a few transforms side by
// side, one in each lane of a vector, in scratch memory that holds real and imaginary parts apart.
// Nothing is contracted: every level gives the same bits.
#pragma once
#include <cstdint>

namespace lazulite::engine {

inline constexpr int most_radices = 64;
inline constexpr int64_t largest_prime = 61;  // that is a radix; Bluestein's way for larger ones

// A transform of n = the product of the radices, first of the shortest parts: after step i, parts
// of size[i] elements are transformed. Numbers are float or double, as the kernel.
struct Radices {
  int64_t n;
  int steps;
  int radix[most_radices];
  int64_t size[most_radices];
  const void* twiddles[most_radices];  // w^(jq) of step i: for each j, each q from 1: re, im
  const void* circle[most_radices];    // of a prime from 11: cos and sin of 2 pi k / radix
  const int32_t* from;                 // [n + 1] where element i is loaded to
  const int32_t* place;                // [n + 1] where element i of the result lies
  int64_t elements;                    // of scratch, for each lane
  const void* halves;  // w_2n^k, k <= n / 2, for real transforms of 2n; or null
};

// What lies at the lines' ends: complex elements; real ones, two by two as one complex element of a
// transform of half the length; real ones alone; or the first half of a spectrum whose other half
// is its mirror: of a transform of 2n (even) or of n (odd).
enum class Ends : uint8_t { complex, packed, real, even_half, odd_half };

// One group of transforms; strides and offsets count real numbers.
struct Group {
  const Radices* radices;
  const void* in;
  void* out;
  const int64_t* in_at;  // of each lane
  const int64_t* out_at;
  int64_t in_step, out_step;    // from one element to the next
  int64_t in_count, out_count;  // elements that are there (packed: real ones); others are zero
  int lanes;
  Ends from, to;
  bool inverse;  // parts are exchanged on the way in and on the way out
  bool swap_out;
  double scale;
  // The step between two transforms of a long one: elements are multiplied by fine[k][.] *
  // coarse[k]
  const void* fine;    // for each k: 16 real parts, 16 imaginary ones; or null
  const void* coarse;  // for each k: re, im
  void* scratch;
};

inline constexpr int most_lanes = 16;

struct FourierKernels {
  int lanes;
  void (*run)(const Group&);
  // to = a * b (* scale) for n complex numbers; conj_b: of the conjugate of b
  void (*multiply)(const void* a, const void* b, bool conj_b, double scale, int64_t n, void* to);
};
struct FourierTables {
  FourierKernels of[2];  // float, double
};

}  // namespace lazulite::engine
