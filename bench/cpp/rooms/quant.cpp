// Packed numbers: rows of x beside packed lines (bytes of codes, scales and biases beside a plain
// read of as many), panels of floats made of them, and blocks of int8.
#include "engine/quant/kernels.h"

#include <cstring>

#include "engine/quant/int8_kernels.h"
#include "kernels.h"

namespace lazulite {

namespace engine {
LAZULITE_EACH_LEVEL(const QuantKernels&, quant_kernels)
LAZULITE_EACH_LEVEL(const Int8Kernels&, int8_kernels)
#if defined(__x86_64__) && !defined(LAZULITE_GENERIC_ONLY)
void fill_quant_kernels_avx512_vnni(QuantKernels&);
void fill_int8_kernels_avx512_vnni(Int8Kernels&);
void fill_int8_kernels_amx(Int8Kernels&);
#endif
}  // namespace engine

namespace bench {
namespace {

using engine::Codes;

// With what processors of this level mostly have besides.
engine::QuantKernels kernels_of(const Level& level) {
  engine::QuantKernels k = engine::quant_kernels_at(level);
#if defined(__x86_64__) && !defined(LAZULITE_GENERIC_ONLY)
  if (level.isa == cpu::Level::avx512 && cpu::features().vnni)
    engine::fill_quant_kernels_avx512_vnni(k);
#endif
  return k;
}
engine::Int8Kernels int8_of(const Level& level) {
  engine::Int8Kernels k = engine::int8_kernels_at(level);
#if defined(__x86_64__) && !defined(LAZULITE_GENERIC_ONLY)
  if (level.isa == cpu::Level::avx512 && cpu::features().vnni)
    engine::fill_int8_kernels_avx512_vnni(k);
  if (level.isa == cpu::Level::avx512 && cpu::features().amx) engine::fill_int8_kernels_amx(k);
#endif
  return k;
}

void packed_numbers(const Level& level) {
  const engine::QuantKernels all = kernels_of(level);
  constexpr int64_t count = 4096, group = 64, groups = count / group;
  for (int bits : {2, 3, 4, 5, 6, 8}) {
    const int slot = engine::slot_of(Codes::integers, bits);
    const engine::Format format{Codes::integers, bits, int(group)};
    const int64_t line = count * bits / 8;
    const std::string name = std::to_string(bits) + " bits";
    if (all.dots[slot])
      for (int64_t lines : {64, 16384})  // in the cache, and beyond it
        add(level, "quant/a row beside " + std::to_string(lines) + " lines of " + name + "/float32",
            [=](Amount& amount) {
              const int64_t bytes = lines * (line + 2 * groups * 4);
              amount = {lines, bytes};
              Memory x(count * 4), codes(lines * line + 64), scales(lines * groups * 4 + 64),
                  biases(lines * groups * 4 + 64), whole((count + 256) * 2), of_x(groups * 8);
              x.fill(float32, count, -1, 1);
              codes.fill(uint8, lines * line, 0, 255);
              scales.fill(float32, lines * groups, -1, 1);
              biases.fill(float32, lines * groups, -1, 1);
              float *x_scales = reinterpret_cast<float*>(of_x.get()), *sums = x_scales + groups;
              auto* to = reinterpret_cast<int16_t*>(whole.get());
              all.prepare[slot]({reinterpret_cast<float*>(x.get()), count, format, to, x_scales,
                                 sums});
              return [=, codes = std::move(codes), scales = std::move(scales),
                      biases = std::move(biases), whole = std::move(whole), of_x = std::move(of_x),
                      out = Memory(lines * 4)] {
                all.dots[slot]({codes.get(), scales.get(), biases.get(), 0, line, groups, lines,
                                count, format, float32, 1, to, x_scales, sums, count + 256, 1,
                                reinterpret_cast<float*>(out.get()), lines});
              };
            });
    add(level, "quant/a panel of floats of " + name + "/float32", [=](Amount& amount) {
      constexpr int64_t lines = 32, steps = 384;
      amount = {lines * steps, lines * steps * 4 + lines * steps * bits / 8};
      Memory codes(lines * line), scales(lines * 6 * 4), biases(lines * 6 * 4);
      codes.fill(uint8, lines * line, 0, 255);
      scales.fill(float32, lines * 6, -1, 1);
      biases.fill(float32, lines * 6, -1, 1);
      return [=, codes = std::move(codes), scales = std::move(scales), biases = std::move(biases),
              out = Memory(lines * steps * 4)] {
        all.expand[slot]({codes.get(), line, steps * bits / 32, lines, lines, steps / 32,
                          reinterpret_cast<float*>(scales.get()),
                          reinterpret_cast<float*>(biases.get()), int(group), out.get()});
      };
    });
  }
}

void int8_blocks(const Level& level) {
  const engine::Int8Kernels k = int8_of(level);
  add(level, "quant/block of packed panels/int8", [=](Amount& amount) {
    const int64_t groups = 384, bytes = (k.rows + k.cols) * groups * 4;
    amount = {k.rows * k.cols, bytes, 2.0 * double(k.rows * k.cols * groups * k.group), float32};
    Memory a(k.rows * groups * 4), b(k.cols * groups * 4);
    a.fill(uint8, k.rows * groups * 4, 0, 255);
    b.fill(uint8, k.cols * groups * 4, 0, 255);
    return [=, a = std::move(a), b = std::move(b), out = Memory(k.rows * k.cols * 4)] {
      k.block(
          {{a.get(), b.get(), out.get(), groups, k.rows, k.cols, k.cols, k.rows, k.cols, false}});
    };
  });
}

const Room room(packed_numbers), room_of_int8(int8_blocks);

}  // namespace
}  // namespace bench
}  // namespace lazulite
