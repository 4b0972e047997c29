// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "ops/fft/fft.h"
#include "ops/rooms.h"

namespace lazulite::fft {

// Along one axis: the input's is cut to what the transform reads, or zeros follow it. The sum over
// j of x[j] exp(-+ 2 pi i j k / n), times the scale.
struct Transform {
  int axis;
  int64_t n;     // of the real side, where one side is real
  bool inverse;  // +
  Scalar scale;
  LAZULITE_FIELDS(axis, n, inverse, scale)
};

// Complex to complex; real to the n / 2 + 1 first (-, whatever `inverse` says: false); these to
// real (+: true).
extern const Op fft_op, rfft_op, irfft_op;
// fft of as many elements as there are, written over its input: for all axes but the first, since
// one array less goes through the caches.
extern const Op fft_onto_op;

// ---- what the functions make of their arguments; errors name the function

int axis_of(const array&, int axis, const char* op);
int64_t length_of(const Length& given, int64_t otherwise, const char* op);
double scale_of(const Norm&, double n, bool inverse, const char* op);
array as_real(const array&, const char* op, Stream);  // float32 or float64

}  // namespace lazulite::fft
