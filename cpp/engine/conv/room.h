// What the files of this room share.
#pragma once
#include "device/cpu/level.h"
#include "device/cpu/packed.h"
#include "device/cpu/partial.h"
#include "device/cpu/pool.h"
#include "engine/conv/kernels.h"
#include "engine/conv/window.h"
#include "engine/gemm/panel_product.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const ConvTable&, conv_kernels)
LAZULITE_LEVELS(const PanelTable&, panel_kernels)
LAZULITE_FILLED(PanelTable, panel_kernels, avx512_bf16)
LAZULITE_FILLED_OVER(PanelTable, panel_kernels, panel_kernels_filled, amx, panel_kernels_of_machine)

inline const ConvKernels& conv_kernels_of(Dtype type) {
  return type == float64 ? conv_kernels().of_doubles : conv_kernels().of_floats;
}

inline const PanelKernels& panel_kernels_of(Dtype type) {
  return panel_kernels_of_machine().of[index_of(type)];
}
// A convolution of halves as one of whole numbers, which are copied as they are.
inline Convolution as_bits(const Convolution& c) {
  Convolution bits = c;
  bits.type = int16;
  return bits;
}

// Whether dot products of pairs are faster than floats: less than a third of a group of AMX, or one
// channel alone, leaves too much of tiles empty.
inline bool pairs_pay(const Convolution& c, int64_t taps_side_by_side) {
  return c.in_channels / c.groups * taps_side_by_side >= 12 && c.out_channels / c.groups > 1;
}

inline constexpr double macs_per_ns = 15;  // of one thread, about

// Tasks of so many multiply-adds: up to 16, of some 8 us at least.
inline int64_t tasks_of(double macs) {
  return std::max<int64_t>(1, int64_t(std::min(16.0, macs / (8000 * macs_per_ns))));
}

// run(piece, group, first strip, end of them) for each group of each piece, in shares of the
// strips: on all threads. `macs`: multiply-adds, at the rate of floats.
template <class F>
void for_shares(const Pieces& pieces, int64_t groups, int64_t strips, int64_t tasks, double macs,
                F&& run) {
  const int64_t lanes = pieces.count * groups, shares = std::min(strips, parts(tasks, lanes));
  const double cost = macs / macs_per_ns + 1;
  const int64_t some = std::max<int64_t>(1, int64_t(10000 * double(lanes * shares) / cost));
  cpu::parallel_for(
      parts(lanes * shares, some),
      [&](int64_t chunk) {
        for (int64_t i = chunk * some; i < std::min(lanes * shares, (chunk + 1) * some); ++i) {
          const int64_t share = i % shares, lane = i / shares;
          run(pieces[lane / groups], lane % groups, part(strips, shares, share),
              part(strips, shares, share + 1));
        }
      },
      cost + double(lanes * shares) * 500);
}

inline bool by_channels(const Convolution& c) {
  return c.groups > 1 && c.groups == c.in_channels;
}
// Pieces of them, in input channels: about 256 of the result's, and whole registers of them.
inline int64_t channels_of_piece(const Convolution& c, const ConvKernels& k) {
  const int64_t times = c.out_channels / c.in_channels;
  return std::max<int64_t>(k.lanes, 256 / times / k.lanes * k.lanes);
}

// Where a phase's weights begin, and from tap to tap along each axis, in elements.
struct TapsOfWeights {
  const char* data;
  int64_t step[3];
};
inline TapsOfWeights taps_of(const Convolution& c, const ConvView& w, const Phase& phase) {
  TapsOfWeights out{w.data, {}};
  for (int i = 0; i < 3; ++i) {
    const Taps& t = phase.axes[i];
    const int64_t stride = w.strides[i + 1];
    out.data += (c.flip ? c.axes[i].taps - 1 - t.tap : t.tap) * stride * size_of(c.type);
    out.step[i] = (c.flip ? -t.next : t.next) * stride;
  }
  return out;
}

// The place in the result, over batch and axes, of the phase's row `j` at a piece's first column.
inline int64_t place_of(const Convolution& c, const Phase& phase, const Piece& p, int64_t j) {
  const int64_t depth = p.batch * c.axes[0].out + phase.axes[0].result(p.depth);
  return (depth * c.axes[1].out + phase.axes[1].result(j)) * c.axes[2].out +
         phase.axes[2].result(p.column);
}

// One phase by dot products of pairs; false where there are none for its dtype and sizes.
bool convolve_pairs(const Convolution&, const ConvView& x, const ConvView& w, char* out,
                    const Finished&, const Phase&, const Buffer* weights,
                    const PanelKernels* kernels);

// Of so many results, at most, the packed weights are kept.
inline constexpr int64_t most_places = 4096;

// What the packed weights of a phase follow from, for kernels in a table at `kernels`.
inline cpu::PackedKey key_of(const Convolution& c, const ConvView& w, const Phase& phase,
                             const Buffer& weights, const void* kernels, int64_t more = 0) {
  cpu::PackedKey key{w.data - static_cast<const char*>(weights.data),
                     int64_t(reinterpret_cast<intptr_t>(kernels)),
                     more,
                     int64_t(index_of(c.type)),
                     c.groups,
                     c.in_channels,
                     c.out_channels,
                     c.flip};
  key.insert(key.end(), w.strides, w.strides + 5);
  for (int i = 0; i < 3; ++i) {
    const Taps& t = phase.axes[i];
    key.insert(key.end(), {c.axes[i].taps, t.tap, t.next, t.taps, t.step});
  }
  return key;
}

// Memory for packed weights: kept from before, or to be filled by `fill` and maybe kept.
template <class F>
char* packed_weights(const Convolution& c, const ConvView& w, const Phase& phase,
                     const Buffer* weights, const void* kernels, int64_t more, int64_t bytes,
                     Ref<Buffer>& held, F&& fill) {
  cpu::FoundPacked found;
  cpu::PackedKey key;
  if (weights && c.batch * c.out_size() <= most_places) {
    key = key_of(c, w, phase, *weights, kernels, more);
    found = cpu::find_packed(*weights, key, bytes);
  }
  if (found.memory) {
    held = std::move(found.memory);
    return static_cast<char*>(held->data);
  }
  char* to = memory(held, bytes);
  fill(to);
  if (found.again) cpu::keep_packed(*weights, key, held);
  return to;
}

}  // namespace lazulite::engine
