// Short-time Fourier transforms: frames are gathered, and added where they lie over each other.
#include <algorithm>

#include "ops/compose/shape.h"
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/fft/ops.h"
#include "ops/index/index.h"
#include "ops/shape/shape.h"

namespace lazulite::fft {
namespace {

struct Frames {
  int64_t n, hop;
  array window;  // of n numbers, or none
  Frames(int64_t n, const Length& given_hop, const Length& given_length,
         const std::optional<array>& given, const char* op, Stream s)
      : n(length_of(n, n, op)), hop(given_hop.value_or(std::max<int64_t>(n / 4, 1))) {
    const int64_t length = given_length.value_or(n);
    if (hop < 1) fail(Kind::value, op, "hop_length: got ", hop, ", expected 1 or more");
    if (length < 1 || length > n)
      fail(Kind::value, op, "win_length: got ", length, ", expected 1 to n_fft, ", n);
    if (!given && length == n) return;
    if (given && given->shape() != Shape{length})
      fail(Kind::value, op, "window: got shape ", given->shape(), ", expected (", length, ",)");
    window = given ? *given : ones({length}, float32, s);
    if (is_complex(window.dtype()))
      fail(Kind::value, op, "window: got ", window.dtype(), ", expected a real dtype");
    const int64_t before = (n - length) / 2;
    if (length < n) window = pad(window, Shape{before}, Shape{n - length - before}, 0, s);
  }
  // Which sample stands where: (frames, n).
  array places(int64_t frames, Stream s) const {
    return add(reshape(ramp(0, hop, frames, int64, s), {frames, 1}, s), ramp(0, 1, n, int64, s), s);
  }
};

}  // namespace

array stft(const array& a, int64_t n, const Length& hop, const Length& length,
           const std::optional<array>& window, bool center, const std::string& pad_mode,
           const Norm& norm, const std::optional<bool>& half, Stream s) {
  constexpr const char* op = "stft";
  axis_of(a, -1, op);
  const Frames how(n, hop, length, window, op, s);
  array x = is_inexact(a.dtype()) ? a : astype(a, float32, s);
  if (center) {
    Widths widths;
    widths.assign(size_t(a.ndim()), {0, 0});
    widths.back() = {n / 2, n / 2};
    x = pad(x, widths, pad_mode, 0, s);
  }
  const int64_t samples = x.shape().back();
  if (samples < n)
    fail(Kind::value, op, "n_fft: got ", n, ", expected at most the ", samples, " samples");
  array frames = take(x, how.places(1 + (samples - n) / how.hop, s), -1, s);
  if (how.window) frames = multiply(frames, how.window, s);
  const bool real = !is_complex(frames.dtype()), first_half = half.value_or(real);
  if (first_half && !real)
    fail(Kind::value, op, "onesided: got True for complex numbers, expected False");
  return swapaxes(first_half ? rfft(frames, {}, -1, norm, s) : fft(frames, {}, -1, norm, s), -1, -2,
                  s);
}

array istft(const array& a, const Length& n_fft, const Length& hop, const Length& win_length,
            const std::optional<array>& window, bool center, const Norm& norm,
            const std::optional<bool>& half, const Length& length, Stream s) {
  constexpr const char* op = "istft";
  if (a.ndim() < 2)
    fail(Kind::value, op, "shape: got ", a.shape(), ", expected (..., frequencies, frames)");
  const bool first_half = half.value_or(true);
  const int64_t rows = a.shape()[size_t(a.ndim() - 2)], count = a.shape().back();
  const int64_t n = n_fft.value_or(first_half ? 2 * (rows - 1) : rows);
  const Frames how(n, hop, win_length, window, op, s);
  if (rows != (first_half ? n / 2 + 1 : n))
    fail(Kind::value, op, "n_fft: got ", n, ", which ", rows, " frequencies do not fit");
  if (count < 1) fail(Kind::value, op, "no frames: got shape ", a.shape());
  const array turned = swapaxes(a, -1, -2, s);
  array frames =
      first_half ? irfft(turned, n, -1, norm, s) : real(ifft(turned, n, -1, norm, s), s);
  const Dtype type = real_type(frames.dtype());
  const array weight = how.window ? astype(how.window, type, s) : ones({n}, type, s);
  frames = multiply(frames, weight, s);
  // Samples first, then all else as columns.
  const int64_t total =
      sum_of_sizes(n, product_of_sizes(how.hop, count - 1, op), op);
  const array places = reshape(how.places(count, s), {count * n}, s);
  auto overlapped = [&](const array& columns) {  // (count * n, any)
    return scatter_add(zeros({total, columns.shape(1)}, columns.dtype(), s), {places}, columns, {0},
                       s);
  };
  Shape outer(a.shape().begin(), a.shape().end() - 2);
  const int64_t lines = size_of(outer);
  const array samples =
      overlapped(transpose(reshape(frames, {lines, count * n}, s), Axes{1, 0}, s));
  const array squares = broadcast_to(square(weight, s), {count, n}, s);
  const array envelope = overlapped(reshape(squares, {count * n, 1}, s));
  // Where no window reaches there is nothing to divide by.
  const array divisor = where(greater(envelope, 1e-11, s), envelope, 1, s);
  array y = transpose(divide(samples, divisor, s), Axes{1, 0}, s);
  const int64_t start = center ? n / 2 : 0,
                stop = length ? std::min(total, start + std::max<int64_t>(*length, 0))
                              : std::max(start, total - start);
  if (length && *length < 0)
    fail(Kind::value, op, "length: got ", *length, ", expected 0 or more");
  y = slice_axis(y, 1, std::min(start, stop), stop, s);
  if (const int64_t more = length ? *length - y.shape(1) : 0; more > 0)
    y = pad(y, Shape{0, 0}, Shape{0, more}, 0, s);
  outer.push_back(y.shape().back());
  return reshape(y, outer, s);
}

}  // namespace lazulite::fft
