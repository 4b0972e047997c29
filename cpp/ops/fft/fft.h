// Discrete Fourier transforms, as NumPy's: of any length, along any axes. Real and complex floats
// of 32 or 64 bits in, complex ones of the same width out (real ones of irfft, irfftn and hfft);
// all else counts as float32.
//
// n (s): the length along each axis; what is longer is cut, zeros follow what is shorter. norm is
// what is divided by n: "backward" (the inverse), "forward" (the other), "ortho" (both by its
// root).
#pragma once
#include <optional>
#include <string>

#include "graph/node.h"

namespace lazulite::fft {

using Length = std::optional<int64_t>;
using Lengths = std::optional<Shape>;
using Along = std::optional<Axes>;
using Norm = std::optional<std::string>;

array fft(const array&, const Length& n = {}, int axis = -1, const Norm& = {},
          Stream s = default_stream());
array ifft(const array&, const Length& n = {}, int axis = -1, const Norm& = {},
           Stream s = default_stream());
// The n / 2 + 1 first numbers of a real array's transform: the others mirror them; and back.
array rfft(const array&, const Length& n = {}, int axis = -1, const Norm& = {},
           Stream s = default_stream());
array irfft(const array&, const Length& n = {}, int axis = -1, const Norm& = {},
            Stream s = default_stream());
// The real transform of a signal whose second half mirrors the first; and back.
array hfft(const array&, const Length& n = {}, int axis = -1, const Norm& = {},
           Stream s = default_stream());
array ihfft(const array&, const Length& n = {}, int axis = -1, const Norm& = {},
            Stream s = default_stream());

// Without axes: the last ones that s has lengths for, or all.
array fftn(const array&, const Lengths& = {}, const Along& axes = {}, const Norm& = {},
           Stream s = default_stream());
array ifftn(const array&, const Lengths& = {}, const Along& axes = {}, const Norm& = {},
            Stream s = default_stream());
array rfftn(const array&, const Lengths& = {}, const Along& axes = {}, const Norm& = {},
            Stream s = default_stream());
array irfftn(const array&, const Lengths& = {}, const Along& axes = {}, const Norm& = {},
             Stream s = default_stream());

// The frequencies of fft's and rfft's results for samples d apart.
array fftfreq(int64_t n, double d = 1, Dtype = float32, Stream s = default_stream());
array rfftfreq(int64_t n, double d = 1, Dtype = float32, Stream s = default_stream());
// Frequency zero in the middle; and back.
array fftshift(const array&, const Along& axes = {}, Stream s = default_stream());
array ifftshift(const array&, const Along& axes = {}, Stream s = default_stream());

// Cosine and sine transforms of real arrays, of types 1 to 4, as SciPy's.
array dct(const array&, int type = 2, const Length& n = {}, int axis = -1, const Norm& = {},
          Stream s = default_stream());
array idct(const array&, int type = 2, const Length& n = {}, int axis = -1, const Norm& = {},
           Stream s = default_stream());
array dst(const array&, int type = 2, const Length& n = {}, int axis = -1, const Norm& = {},
          Stream s = default_stream());
array idst(const array&, int type = 2, const Length& n = {}, int axis = -1, const Norm& = {},
           Stream s = default_stream());

// Transforms of frames of n_fft samples, hop_length apart (n_fft / 4), times a window of win_length
// (n_fft) in their middle: (..., frequencies, frames). center: frame i is around sample i *
// hop_length, beyond the ends goes on as pad_mode says. onesided: rfft, of real samples.
array stft(const array&, int64_t n_fft = 2048, const Length& hop_length = {},
           const Length& win_length = {}, const std::optional<array>& window = {},
           bool center = true, const std::string& pad_mode = "reflect", const Norm& = {},
           const std::optional<bool>& onesided = {}, Stream s = default_stream());
// The samples: frames times the window, added, over the sum of the windows' squares.
array istft(const array&, const Length& n_fft = {}, const Length& hop_length = {},
            const Length& win_length = {}, const std::optional<array>& window = {},
            bool center = true, const Norm& = {}, const std::optional<bool>& onesided = {},
            const Length& length = {}, Stream s = default_stream());

}  // namespace lazulite::fft
