// Arrays of numbers to packed codes and back: all of them are one run of groups.
#include "engine/quant/quant.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "device/cpu/pool.h"
#include "engine/layout/copy.h"
#include "engine/quant/room.h"

namespace lazulite::engine {
namespace {

constexpr int64_t numbers_at_once = 8192;  // whole groups, words and blocks of 32

void convert(const char* from, Dtype type, char* to, Dtype into, int64_t n) {
  copy({n}, {const_cast<char*>(from), type, {1}}, {to, into, {1}});
}

// Codes of a byte each, from the low bits of words up.
void pack(const uint8_t* codes, int64_t count, int bits, char* to) {
  uint64_t held = 0;
  int filled = 0;
  for (int64_t i = 0; i < count; ++i) {
    held |= uint64_t(codes[i]) << filled;
    filled += bits;
    if (filled < 32) continue;
    const uint32_t word = uint32_t(held);
    std::memcpy(to, &word, 4);
    to += 4;
    held >>= 32;
    filled -= 32;
  }
}
// body(first, count) over whole groups, in pieces of some thousands of numbers.
template <class F>
void for_pieces(int64_t count, double per_ns, F&& body) {
  cpu::parallel_for(
      parts(count, numbers_at_once),
      [&](int64_t i) {
        const int64_t first = i * numbers_at_once;
        body(first, std::min(numbers_at_once, count - first));
      },
      double(count) / per_ns);
}

struct Encoded {
  std::vector<double> numbers, scales, biases;  // of either width; bytes of scales
  std::vector<uint8_t> codes;
  Encoded() : numbers(numbers_at_once), scales(numbers_at_once / 16), biases(numbers_at_once / 16),
              codes(numbers_at_once) {}
};
void encode(const Format& f, const char* from, Dtype type, int64_t count, double factor,
            Encoded& e) {
  const bool wide = type == float64;
  const void* numbers = from;
  if (is_half(type)) {
    convert(from, type, reinterpret_cast<char*>(e.numbers.data()), float32, count);
    numbers = e.numbers.data();
  }
  const QuantKernels& k = quant_kernels();
  (wide ? k.encode_doubles : k.encode)({numbers, count / f.group, f, factor, e.codes.data(),
                                        e.scales.data(), e.biases.data()});
}

// Numbers [0, count) of codes, scales and biases that begin there; T: float or double.
void decode(const Format& f, const PackedMatrix& w, Dtype scale_type, int64_t count, double factor,
            float* to) {
  const Scales scale(f, scale_type, factor), bias(f, scale_type, factor, true);
  const int64_t blocks = count / 32, halves = f.group < 32 ? 2 : 1;
  std::vector<float> scales(size_t((blocks + 1) * halves)), biases(scales.size());
  const auto run = [&](int64_t first, int64_t n, int64_t words, float* out) {
    for (int64_t h = 0; h < halves; ++h)
      for (int64_t b = 0; b < n; ++b) {
        const int64_t g = ((first + b) * 32 + h * 16) / f.group;
        const bool there = g * f.group < count;
        scales[size_t(h * n + b)] = there ? float(scale(w.scales, g)) : 0;
        if (f.has_biases()) biases[size_t(h * n + b)] = there ? float(bias(w.biases, g)) : 0;
      }
    quant_kernels().decode[slot_of(f.codes, f.bits)](
        {w.codes + first * f.bits * 4, f.bits * 4, words, n, scales.data(),
         f.has_biases() ? biases.data() : nullptr, f.group, out, 32, 16});
  };
  if (blocks) run(0, blocks, f.bits, to);
  if (count % 32) {  // half a block
    float last[32];
    run(blocks, 1, f.bits / 2, last);
    std::memcpy(to + blocks * 32, last, 16 * sizeof(float));
  }
}
void decode(const Format& f, const PackedMatrix& w, Dtype scale_type, int64_t count, double factor,
            double* to) {
  const Scales scale(f, scale_type, factor), bias(f, scale_type, factor, true);
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t code = code_at(w.codes, i, f.bits);
    to[i] = number_of(f.codes, code) * scale(w.scales, i / f.group);
    if (f.has_biases()) to[i] += bias(w.biases, i / f.group);
  }
}
template <class T>
void decode_to(const Format& f, const PackedMatrix& w, Dtype scale_type, int64_t count,
               double factor, char* to, Dtype type) {
  if (type == dtype_of<T>) return decode(f, w, scale_type, count, factor, reinterpret_cast<T*>(to));
  std::vector<T> numbers(static_cast<size_t>(count));
  decode(f, w, scale_type, count, factor, numbers.data());
  if constexpr (std::is_same_v<T, float>)
    return convert(reinterpret_cast<char*>(numbers.data()), float32, to, type, count);
  for (int64_t i = 0; i < count; ++i) {
    const double v = double(numbers[size_t(i)]);
    if (type == float32) reinterpret_cast<float*>(to)[i] = float(v);
    else if (type == float16) reinterpret_cast<float16_t*>(to)[i] = float16_t(v);
    else reinterpret_cast<bfloat16_t*>(to)[i] = bfloat16_t(v);
  }
}

}  // namespace

void quantize(const Format& f, const char* from, Dtype type, int64_t count, double factor,
              char* codes, char* scales, char* biases) {
  const Dtype made = compute_type(type);
  for_pieces(count, 0.5, [&](int64_t first, int64_t n) {
    Encoded e;
    encode(f, from + first * size_of(type), type, n, factor, e);
    pack(e.codes.data(), n, f.bits, codes + first * f.bits / 8);
    const int64_t group = first / f.group, groups = n / f.group;
    if (!f.has_biases()) {
      std::memcpy(scales + group, e.scales.data(), size_t(groups));
      return;
    }
    convert(reinterpret_cast<char*>(e.scales.data()), made, scales + group * size_of(type), type,
            groups);
    convert(reinterpret_cast<char*>(e.biases.data()), made, biases + group * size_of(type), type,
            groups);
  });
}

void dequantize(const Format& f, const PackedMatrix& w, Dtype scale_type, int64_t count,
                double factor, char* to, Dtype type) {
  const int64_t scale = size_of(scale_type);
  for_pieces(count, 2, [&](int64_t first, int64_t n) {
    const int64_t group = first / f.group;
    const PackedMatrix here{w.codes + first * f.bits / 8, w.scales + group * scale,
                            f.has_biases() ? w.biases + group * scale : nullptr};
    char* out = to + first * size_of(type);
    if (type == float64 || scale_type == float64)
      decode_to<double>(f, here, scale_type, n, factor, out, type);
    else decode_to<float>(f, here, scale_type, n, factor, out, type);
  });
}

void round_to_codes(const Format& f, const char* from, Dtype type, int64_t count, double factor,
                    char* to) {
  const Dtype scale_type = f.has_biases() ? type : uint8;
  for_pieces(count, 0.5, [&](int64_t first, int64_t n) {
    std::vector<char> codes(size_t(n * f.bits / 8)),
        scales(size_t(n / f.group * size_of(scale_type))), biases(scales.size());
    quantize(f, from + first * size_of(type), type, n, factor, codes.data(), scales.data(),
             biases.data());
    dequantize(f, {codes.data(), scales.data(), biases.data()}, scale_type, n, factor,
               to + first * size_of(type), type);
  });
}

void to_fp8(const char* from, Dtype type, int64_t count, char* to) {
  for_pieces(count, 0.5, [&](int64_t first, int64_t n) {
    std::vector<float> numbers(static_cast<size_t>(n));
    if (type == float64) {  // by way of a float that is rounded to odd: rounded once
      for (int64_t i = 0; i < n; ++i)
        numbers[size_t(i)] = round_to_odd(reinterpret_cast<const double*>(from)[first + i]);
    } else {
      convert(from + first * size_of(type), type, reinterpret_cast<char*>(numbers.data()), float32,
              n);
    }
    for (int64_t i = 0; i < n; ++i) to[first + i] = char(nearest_e4m3(numbers[size_t(i)]));
  });
}

void from_fp8(const char* from, int64_t count, char* to, Dtype type) {
  for_pieces(count, 1, [&](int64_t first, int64_t n) {
    std::vector<float> numbers(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) numbers[size_t(i)] = from_e4m3(uint8_t(from[first + i]));
    char* out = to + first * size_of(type);
    if (type == float64) std::copy(numbers.begin(), numbers.end(), reinterpret_cast<double*>(out));
    else convert(reinterpret_cast<char*>(numbers.data()), float32, out, type, n);
  });
}

bool centred(const Format& f, const PackedMatrix& w, Dtype type, int64_t groups) {
  const double centre = -double(1 << (f.bits - 1));
  const int64_t each = size_of(type);
  std::atomic<bool> all{true};
  cpu::parallel_for(parts(groups, numbers_at_once), [&](int64_t piece) {
    if (!all.load(std::memory_order_relaxed)) return;
    const int64_t first = piece * numbers_at_once, n = std::min(numbers_at_once, groups - first);
    std::vector<double> scales(static_cast<size_t>(n)), biases(static_cast<size_t>(n));
    convert(w.scales + first * each, type, reinterpret_cast<char*>(scales.data()), float64, n);
    convert(w.biases + first * each, type, reinterpret_cast<char*>(biases.data()), float64, n);
    int64_t others = 0;
    for (size_t i = 0; i < size_t(n); ++i) others += !(biases[i] == scales[i] * centre);
    if (others) all.store(false, std::memory_order_relaxed);
  }, double(groups) * 2);
  return all.load();
}

}  // namespace lazulite::engine
