// Convolutions of arrays in memory over one to three axes, channels last: forward, and the gradient
// of the weights. The bits of a result follow from sizes, dtype and instruction-set level, never
// from threads or layouts.
#pragma once
#include "base/dtype.h"
#include "base/shape.h"
#include "device/device.h"
#include "engine/gemm/gemm.h"

namespace lazulite::engine {

// One axis: element `o` of the result sees tap `k` at place o * stride - low + k * dilation of the
// input, whose elements stand `spread` apart there, with zeros between and around them.
struct ConvAxis {
  int64_t in, out, taps, stride, low, dilation, spread;
};

// Of element 0; strides in elements, of (batch, three axes, channels), of weights (out channels,
// three axes, in channels of a group).
struct ConvView {
  const char* data;
  int64_t strides[5];
};

struct Convolution {
  Dtype type;  // a floating one; halves are summed in float32 and rounded once
  int64_t batch, groups, in_channels, out_channels;  // of all groups
  ConvAxis axes[3];
  bool flip;  // taps in reverse

  int64_t out_size() const { return axes[0].out * axes[1].out * axes[2].out; }
};

// Weights are packed first. Of a buffer that holds them, when it is known, the packed form is kept
// for later calls where packing takes a good part of one (device/cpu/packed.h): that of 512 by 512
// channels 3 x 3 takes as long as summing some 60 places.
//
// Finished is told of pieces as gemm's: rows are places of the result over batch and axes, columns
// its channels. out: dense, (batch, axes, out_channels).
// bfloat16 by `pairs` of the caller's choice, if any.
struct PanelKernels;
void convolve(const Convolution&, const ConvView& x, const ConvView& w, char* out,
              const Finished& finished = {}, const Buffer* weights = nullptr,
              const PanelKernels* pairs = nullptr);
// Of int8 less `zero`, which lies around the input too, by int8: sums of int32, which wrap.
// type: int8. By kernels of the caller's choice, if any: all give the same bits.
struct Int8Kernels;
void convolve_int8(const Convolution&, const ConvView& x, const ConvView& w, int zero, char* out,
                   const Finished& finished = {}, const Buffer* weights = nullptr,
                   const Int8Kernels* kernels = nullptr);
// dw: dense, (out_channels, taps, in channels of a group): the sum over batch and places of ct
// (batch, axes of the result, out_channels) times what its tap saw.
void convolve_weights(const Convolution&, const ConvView& x, const ConvView& ct, char* dw,
                      const PanelKernels* pairs = nullptr);

}  // namespace lazulite::engine
