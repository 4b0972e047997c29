// The sub-module core.fft.
#pragma once
#include "ops/fft/fft.h"
#include "ops/functions.h"

namespace lazulite::functions {

using Count = const std::optional<int64_t>&;
using OptionalText = const std::optional<std::string>&;

template <class M>
void add_fft(M& core) {
  auto& m = core.module("fft");
  m.def(
       "fft(a, n=None, axis=-1, norm='backward', stream=None)",
       [](A a, Count n, int axis, OptionalText norm, S s) { return fft::fft(a, n, axis, norm, s); },
       "The discrete Fourier transform along an axis: sums of a[j] * exp(-2 pi i j k / n).\n"
       "Longer axes are cut to n, zeros follow shorter ones. norm says what is divided by n: "
       "'backward' the inverse,\n"
       "'forward' the other transform, 'ortho' both by its root.\n\n"
       ">>> mx.fft.fft(mx.array([1, 0, 0, 0]))\n"
       "array([1+0j, 1+0j, 1+0j, 1+0j], dtype=complex64)")
      .cases({"x(2, 6)", "x(7, 3), axis=0", "x(2, 5), 8, norm='ortho'", "x(12), 5, 0, 'forward'"},
             "np.fft.fft")
      .large(
          {"x(20, block + 1)", "x(grain + 1)", "x(3, tree), axis=1", "x(block + 1, 33), axis=0"});
  m.def(
       "ifft(a, n=None, axis=-1, norm='backward', stream=None)",
       [](A a, Count n, int axis, OptionalText norm, S s) {
         return fft::ifft(a, n, axis, norm, s);
       },
       "The inverse of fft: sums of a[k] * exp(2 pi i j k / n), over n.\n"
       "Longer axes are cut to n, zeros follow shorter ones. norm says what is divided by n: "
       "'backward' the inverse,\n"
       "'forward' the other transform, 'ortho' both by its root.\n\n"
       ">>> mx.fft.ifft(mx.array([4, 0, 0, 0]))\n"
       "array([1+0j, 1+0j, 1+0j, 1+0j], dtype=complex64)")
      .cases({"x(2, 6)", "x(7, 3), axis=0", "x(2, 5), 8, norm='ortho'", "x(12), 5, 0, 'forward'"},
             "np.fft.ifft")
      .large({"x(20, block + 1)", "x(grain + 1)", "x(block + 1, 33), axis=0"});
  m.def(
       "rfft(a, n=None, axis=-1, norm='backward', stream=None)",
       [](A a, Count n, int axis, OptionalText norm, S s) {
         return fft::rfft(a, n, axis, norm, s);
       },
       "The first n // 2 + 1 numbers of the Fourier transform of a real array; the others mirror "
       "them.\n"
       "Longer axes are cut to n, zeros follow shorter ones. norm says what is divided by n: "
       "'backward' the inverse,\n"
       "'forward' the other transform, 'ortho' both by its root.\n\n"
       ">>> mx.fft.rfft(mx.array([1, 2, 3, 4]))\n"
       "array([10+0j, -2+2j, -2+0j], dtype=complex64)")
      .cases({"x(2, 6)", "x(7, 3), axis=0", "x(2, 5), 8, norm='ortho'", "x(12), 5, 0, 'forward'"},
             "np.fft.rfft")
      .large({"x(20, 2 * block)", "x(20, block + 1)", "x(2 * grain)", "x(grain + 1)",
              "x(block + 2, 33), axis=0"});
  m.def(
       "irfft(a, n=None, axis=-1, norm='backward', stream=None)",
       [](A a, Count n, int axis, OptionalText norm, S s) {
         return fft::irfft(a, n, axis, norm, s);
       },
       "The inverse of rfft: n real numbers, 2 * (m - 1) of m unless n is given.\n"
       "Longer axes are cut to n, zeros follow shorter ones. norm says what is divided by n: "
       "'backward' the inverse,\n"
       "'forward' the other transform, 'ortho' both by its root.\n\n"
       ">>> mx.fft.irfft(mx.array([10, -2 + 2j, -2]))\n"
       "array([1, 2, 3, 4], dtype=float32)")
      .cases({"x(2, 6)", "x(7, 3), axis=0", "x(2, 5), 9, norm='ortho'", "x(12), 5, 0, 'forward'"},
             "np.fft.irfft")
      .large({"x(20, block)", "x(20, block), 2 * block - 1", "x(grain + 1)",
              "x(block + 2, 33), axis=0"});
  m.def(
       "hfft(a, n=None, axis=-1, norm='backward', stream=None)",
       [](A a, Count n, int axis, OptionalText norm, S s) {
         return fft::hfft(a, n, axis, norm, s);
       },
       "The real Fourier transform of a signal whose other half is the conjugate mirror image of this one.\n"
       "Longer axes are cut to n, zeros follow shorter ones. norm says what is divided by n: 'backward' the inverse,\n"
       "'forward' the other transform, 'ortho' both by its root.\n\n"
       ">>> mx.fft.hfft(mx.array([1, 1, 1]))\n"
       "array([4, 0, 0, 0], dtype=float32)")
      .cases({"x(2, 6)", "x(7, 3), axis=0", "x(2, 5), 9, norm='ortho'"}, "np.fft.hfft")
      .large({"x(20, block), norm='forward'", "x(grain + 1), norm='forward'"});
  m.def(
       "ihfft(a, n=None, axis=-1, norm='backward', stream=None)",
       [](A a, Count n, int axis, OptionalText norm, S s) {
         return fft::ihfft(a, n, axis, norm, s);
       },
       "The inverse of hfft: the first n // 2 + 1 numbers of the signal.\n"
       "Longer axes are cut to n, zeros follow shorter ones. norm says what is divided by n: 'backward' the inverse,\n"
       "'forward' the other transform, 'ortho' both by its root.\n\n"
       ">>> mx.fft.ihfft(mx.array([4.0, 0, 0, 0])).real\n"
       "array([1, 1, 1], dtype=float32)")
      .cases({"x(2, 6)", "x(7, 3), axis=0", "x(2, 5), 8, norm='ortho'"}, "np.fft.ihfft")
      .large({"x(20, 2 * block)", "x(grain + 1)"});
  m.def(
       "fft2(a, s=None, axes=[-2, -1], norm='backward', stream=None)",
       [](A a, OptionalShape lengths, OptionalAxes axes, OptionalText norm, S s) {
         return fft::fftn(a, lengths, axes, norm, s);
       },
       "The Fourier transform over two axes.\n"
       "s has a length for each axis (-1: as it is): longer axes are cut, zeros follow shorter ones. norm is that of fft.\n\n"
       ">>> mx.fft.fft2(mx.array([[1, 0], [0, 0]]))\n"
       "array([[1+0j, 1+0j],\n"
       "       [1+0j, 1+0j]], dtype=complex64)")
      .cases({"x(4, 6)", "x(2, 3, 4), axes=[0, 2], norm='ortho'", "x(3, 4), [5, 2]"}, "np.fft.fft2")
      .large({"x(block + 1, 33)", "x(2, 64, grain // 64)"});
  m.def(
       "fftn(a, s=None, axes=None, norm='backward', stream=None)",
       [](A a, OptionalShape lengths, OptionalAxes axes, OptionalText norm, S s) {
         return fft::fftn(a, lengths, axes, norm, s);
       },
       "The Fourier transform over axes: all of them, or the last ones that s has lengths for.\n"
       "s has a length for each axis (-1: as it is): longer axes are cut, zeros follow shorter "
       "ones. norm is that of fft.\n\n"
       ">>> mx.fft.fftn(mx.array([[1, 0], [0, 0]]))\n"
       "array([[1+0j, 1+0j],\n"
       "       [1+0j, 1+0j]], dtype=complex64)")
      .cases({"x(2, 3, 4)", "x(2, 3, 4), [3], [1], norm='forward'", "x(5, 4), [4, 6], [1, 0]"},
             "np.fft.fftn")
      .large({"x(2, 33, block + 1)", "x(20, 16, 32)"});
  m.def(
       "ifft2(a, s=None, axes=[-2, -1], norm='backward', stream=None)",
       [](A a, OptionalShape lengths, OptionalAxes axes, OptionalText norm, S s) {
         return fft::ifftn(a, lengths, axes, norm, s);
       },
       "The inverse Fourier transform over two axes.\n"
       "s has a length for each axis (-1: as it is): longer axes are cut, zeros follow shorter "
       "ones. norm is that of fft.\n\n"
       ">>> mx.fft.ifft2(mx.array([[4, 0], [0, 0]]))\n"
       "array([[1+0j, 1+0j],\n"
       "       [1+0j, 1+0j]], dtype=complex64)")
      .cases({"x(4, 6)", "x(2, 3, 4), axes=[0, 2], norm='ortho'", "x(3, 4), [5, 2]"},
             "np.fft.ifft2")
      .large({"x(block + 1, 33)", "x(2, 64, grain // 64)"});
  m.def(
       "ifftn(a, s=None, axes=None, norm='backward', stream=None)",
       [](A a, OptionalShape lengths, OptionalAxes axes, OptionalText norm, S s) {
         return fft::ifftn(a, lengths, axes, norm, s);
       },
       "The inverse Fourier transform over axes: all of them, or the last ones that s has lengths "
       "for.\n"
       "s has a length for each axis (-1: as it is): longer axes are cut, zeros follow shorter "
       "ones. norm is that of fft.\n\n"
       ">>> mx.fft.ifftn(mx.array([[4, 0], [0, 0]]))\n"
       "array([[1+0j, 1+0j],\n"
       "       [1+0j, 1+0j]], dtype=complex64)")
      .cases({"x(2, 3, 4)", "x(2, 3, 4), [3], [1], norm='forward'", "x(5, 4), [4, 6], [1, 0]"},
             "np.fft.ifftn")
      .large({"x(2, 33, block + 1)", "x(20, 16, 32)"});
  m.def(
       "rfft2(a, s=None, axes=[-2, -1], norm='backward', stream=None)",
       [](A a, OptionalShape lengths, OptionalAxes axes, OptionalText norm, S s) {
         return fft::rfftn(a, lengths, axes, norm, s);
       },
       "The Fourier transform of a real array, half of it along the last one, over two axes.\n"
       "s has a length for each axis (-1: as it is): longer axes are cut, zeros follow shorter "
       "ones. norm is that of fft.\n\n"
       ">>> mx.fft.rfft2(mx.ones((2, 4)))\n"
       "array([[8+0j, 0+0j, 0+0j],\n"
       "       [0+0j, 0+0j, 0+0j]], dtype=complex64)")
      .cases({"x(4, 6)", "x(2, 3, 4), axes=[0, 2], norm='ortho'", "x(3, 4), [5, 2]"},
             "np.fft.rfft2")
      .large({"x(block + 1, 33)", "x(2, 64, grain // 64)"});
  m.def(
       "rfftn(a, s=None, axes=None, norm='backward', stream=None)",
       [](A a, OptionalShape lengths, OptionalAxes axes, OptionalText norm, S s) {
         return fft::rfftn(a, lengths, axes, norm, s);
       },
       "The Fourier transform of a real array, half of it along the last one, over axes: all of "
       "them, or the last ones that s has lengths for.\n"
       "s has a length for each axis (-1: as it is): longer axes are cut, zeros follow shorter "
       "ones. norm is that of fft.\n\n"
       ">>> mx.fft.rfftn(mx.ones((2, 4)))\n"
       "array([[8+0j, 0+0j, 0+0j],\n"
       "       [0+0j, 0+0j, 0+0j]], dtype=complex64)")
      .cases({"x(2, 3, 4)", "x(2, 3, 4), [3], [1], norm='forward'", "x(5, 4), [4, 6], [1, 0]"},
             "np.fft.rfftn")
      .large({"x(2, 33, block + 1)", "x(20, 16, 32)"});
  m.def(
       "irfft2(a, s=None, axes=[-2, -1], norm='backward', stream=None)",
       [](A a, OptionalShape lengths, OptionalAxes axes, OptionalText norm, S s) {
         return fft::irfftn(a, lengths, axes, norm, s);
       },
       "The real array whose rfftn this is, over two axes.\n"
       "s has a length for each axis (-1: as it is): longer axes are cut, zeros follow shorter "
       "ones. norm is that of fft.\n\n"
       ">>> mx.fft.irfft2(mx.array([[8, 0, 0], [0, 0, 0]]))\n"
       "array([[1, 1, 1, 1],\n"
       "       [1, 1, 1, 1]], dtype=float32)")
      .cases({"x(4, 6)", "x(2, 3, 4), axes=[0, 2], norm='ortho'", "x(3, 4), [5, 2]"},
             "np.fft.irfft2")
      .large({"x(block + 1, 33)", "x(2, 64, grain // 64)"});
  m.def(
       "irfftn(a, s=None, axes=None, norm='backward', stream=None)",
       [](A a, OptionalShape lengths, OptionalAxes axes, OptionalText norm, S s) {
         return fft::irfftn(a, lengths, axes, norm, s);
       },
       "The real array whose rfftn this is, over axes: all of them, or the last ones that s has "
       "lengths for.\n"
       "s has a length for each axis (-1: as it is): longer axes are cut, zeros follow shorter "
       "ones. norm is that of fft.\n\n"
       ">>> mx.fft.irfftn(mx.array([[8, 0, 0], [0, 0, 0]]))\n"
       "array([[1, 1, 1, 1],\n"
       "       [1, 1, 1, 1]], dtype=float32)")
      .cases({"x(2, 3, 4)", "x(2, 3, 4), [3], [1], norm='forward'", "x(5, 4), [4, 6], [1, 0]"},
             "np.fft.irfftn")
      .large({"x(2, 33, block + 1)", "x(20, 16, 32)"});
  m.def(
       "fftfreq(n, d=1.0, stream=None, *, dtype=float32)",
       [](int64_t n, double d, S s, OptionalDtype t) {
         return fft::fftfreq(n, d, t.value_or(float32), s);
       },
       "The frequencies of fft's results for n samples that lie d apart.\n\n"
       ">>> mx.fft.fftfreq(4)\n"
       "array([0, 0.25, -0.5, -0.25], dtype=float32)")
      .also("stream", "device")
      .cases({"6", "7, 0.1"}, "np.fft.fftfreq")
      .large({"grain + 1"});
  m.def(
       "rfftfreq(n, d=1.0, stream=None, *, dtype=float32)",
       [](int64_t n, double d, S s, OptionalDtype t) {
         return fft::rfftfreq(n, d, t.value_or(float32), s);
       },
       "The frequencies of rfft's results for n samples that lie d apart.\n\n"
       ">>> mx.fft.rfftfreq(4)\n"
       "array([0, 0.25, 0.5], dtype=float32)")
      .also("stream", "device")
      .cases({"6", "7, 0.1"}, "np.fft.rfftfreq")
      .large({"grain + 1"});
  m.def(
       "fftshift(a, axes=None, stream=None)",
       [](A a, OptionalAxes axes, S s) { return fft::fftshift(a, axes, s); },
       "Frequency zero in the middle of each of the axes (all of them).\n\n"
       ">>> mx.fft.fftshift(mx.array([0, 1, 2, -2, -1]))\n"
       "array([-2, -1, 0, 1, 2], dtype=int32)")
      .cases({"x(5)", "x(2, 3, 4), [0, 2]", "x(4, 5), -1"}, "np.fft.fftshift")
      .large({"x(block + 1, 33)", "x(grain + 1)"});
  m.def(
       "ifftshift(a, axes=None, stream=None)",
       [](A a, OptionalAxes axes, S s) { return fft::ifftshift(a, axes, s); },
       "What fftshift was given.\n\n"
       ">>> mx.fft.ifftshift(mx.array([-2, -1, 0, 1, 2]))\n"
       "array([0, 1, 2, -2, -1], dtype=int32)")
      .cases({"x(5)", "x(2, 3, 4), [0, 2]", "x(4, 5), -1"}, "np.fft.ifftshift")
      .large({"x(block + 1, 33)", "x(grain + 1)"});
  const std::vector<std::string>
      cosine_cases = {"x(2, 6)", "x(2, 7), 1", "x(5, 3), 3, axis=0", "x(2, 5), 2, 8, norm='ortho'",
                      "x(9), 4", "x(8), 3, 7, 0, 'forward'", "x(6), 1, norm='ortho'"},
      large_cosine_cases = {"x(20, block + 1), norm='ortho'",
                            "x(block + 1, 33), 3, axis=0, norm='ortho'"};
  m.def(
       "dct(a, type=2, n=None, axis=-1, norm='backward', stream=None)",
       [](A a, int type, Count n, int axis, OptionalText norm, S s) {
         return fft::dct(a, type, n, axis, norm, s);
       },
       "The discrete cosine transform of real numbers, of type 1, 2, 3 or 4 (Ahmed et al., 1974).\n"
       "Longer axes are cut to n, zeros follow shorter ones; norm is that of fft.\n\n"
       ">>> mx.fft.dct(mx.array([1.0, 1, 1, 1]))\n"
       "array([8, 0, 0, 0], dtype=float32)")
      .cases(cosine_cases, "scipy.fft.dct")
      .large(large_cosine_cases);
  m.def(
       "idct(a, type=2, n=None, axis=-1, norm='backward', stream=None)",
       [](A a, int type, Count n, int axis, OptionalText norm, S s) {
         return fft::idct(a, type, n, axis, norm, s);
       },
       "The inverse of dct: the cosine transform back from the one of a type from 1 to 4.\n"
       "Longer axes are cut to n, zeros follow shorter ones; norm is that of fft.\n\n"
       ">>> mx.fft.idct(mx.array([8.0, 0, 0, 0]))\n"
       "array([1, 1, 1, 1], dtype=float32)")
      .cases(cosine_cases, "scipy.fft.idct")
      .large(large_cosine_cases);
  m.def(
       "dst(a, type=2, n=None, axis=-1, norm='backward', stream=None)",
       [](A a, int type, Count n, int axis, OptionalText norm, S s) {
         return fft::dst(a, type, n, axis, norm, s);
       },
       "The discrete sine transform of real numbers, of type 1, 2, 3 or 4 (Ahmed et al., 1974).\n"
       "Longer axes are cut to n, zeros follow shorter ones; norm is that of fft.\n\n"
       ">>> mx.fft.dst(mx.array([1.0, 0]), 1)\n"
       "array([1.73205, 1.73205], dtype=float32)")
      .cases(cosine_cases, "scipy.fft.dst")
      .large(large_cosine_cases);
  m.def(
       "idst(a, type=2, n=None, axis=-1, norm='backward', stream=None)",
       [](A a, int type, Count n, int axis, OptionalText norm, S s) {
         return fft::idst(a, type, n, axis, norm, s);
       },
       "The inverse of dst: the sine transform back from the one of a type from 1 to 4.\n"
       "Longer axes are cut to n, zeros follow shorter ones; norm is that of fft.\n\n"
       ">>> mx.fft.idst(mx.fft.dst(mx.array([1.0])))\n"
       "array([1], dtype=float32)")
      .cases(cosine_cases, "scipy.fft.idst")
      .large(large_cosine_cases);
  m.def(
       "stft(x, n_fft=2048, hop_length=None, win_length=None, window=None, center=True, "
       "pad_mode='reflect', norm='backward', onesided=None, stream=None)",
       [](A x, int64_t n, Count hop, Count length, OptionalArray window, bool center,
          const std::string& mode, OptionalText norm, const std::optional<bool>& half, S s) {
         return fft::stft(x, n, hop, length, window, center, mode, norm, half, s);
       },
       "Fourier transforms of frames of n_fft samples, hop_length (n_fft // 4) apart: (..., "
       "frequencies, frames).\n"
       "Frames are multiplied by the window (ones) of win_length (n_fft) numbers in their middle. "
       "center: frame i is around sample\n"
       "i * hop_length; beyond the ends samples go on as pad_mode of pad says. onesided: the first "
       "n_fft // 2 + 1\n"
       "frequencies, which is what real samples get.\n\n"
       ">>> mx.fft.stft(mx.ones(64), 16, window=mx.hanning(16)).shape\n"
       "(9, 17)")
      .cases({"x(2, 40), 16", "x(30), 8, 3, 6, center=False", "x(2, 20), 5, 2, norm='ortho'"},
             "-")
      .large({"x(2, 2 * block), 64"});
  m.def(
       "istft(stft_matrix, n_fft=None, hop_length=None, win_length=None, window=None, "
       "center=True, norm='backward', onesided=None, length=None, stream=None)",
       [](A x, Count n, Count hop, Count win, OptionalArray window, bool center, OptionalText norm,
          const std::optional<bool>& half, Count length, S s) {
         return fft::istft(x, n, hop, win, window, center, norm, half, length, s);
       },
       "The samples whose stft this is: frames back in time, times the window, added, over the sum "
       "of the windows' squares.\n"
       "length: of the result, which is cut or continued by zeros.\n\n"
       ">>> mx.fft.istft(mx.fft.stft(mx.ones(64), 16)).shape\n"
       "(64,)")
      .cases({"x(2, 9, 5)", "x(5, 6), 8, 3, 6, center=False, length=40", "x(3, 4), 5, 2"}, "-")
      .large({"x(2, 33, 64)"});
}

}  // namespace lazulite::functions
