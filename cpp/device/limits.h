// Sizes, in elements, at which work is cut or takes another path. The module exports them
// (`_limits`), so that the tests of every function cross each one; reduce_chunk and reduce_lanes
// stand in engine/reduce/kernels.h.
#pragma once
#include <cstdint>

namespace lazulite {

inline constexpr int64_t block_size =
    512;  // of a block program of a dozen registers; more where there are fewer, and less
inline constexpr int64_t chunk_size =
    block_size * 64;  // of a block program that a thread takes at a time, at most
inline constexpr int64_t grain = 16384;                 // that a thread takes at a time elsewhere
inline constexpr int64_t tile_rows = 256,
                         tile_columns = 512;  // of a product that a thread takes at a time, at most
inline constexpr int64_t inner_block = 128;   // of the inner axis, where our own kernel multiplies

// Of the inner axis of a product: what a block of sums takes while it stays in registers, what is
// packed at a time; and with few rows what one task takes along lines, and across them.
inline constexpr int64_t inner_panel = 384, packed_steps = 4096, dot_steps = 32768,
                         sweep_steps = 1024;

}  // namespace lazulite
