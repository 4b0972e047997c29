// Arrays from files: what is read, how often and in which pieces; blocks within their bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "lazulite.h"
#include "ops/files/files.h"

using namespace lazulite;

namespace {

// Bytes in memory that count what is asked of them.
struct Counting : File {
  explicit Counting(std::vector<char> held) : File("memory"), bytes(std::move(held)) {}
  int64_t read(char* to, int64_t n, int64_t at) const override {
    n = std::clamp<int64_t>(int64_t(bytes.size()) - at, 0, n);
    std::memcpy(to, bytes.data() + at, size_t(n));
    const std::lock_guard<std::mutex> guard(mutex);
    total += n;
    largest = std::max(largest, n);
    return n;
  }
  std::vector<char> bytes;
  mutable std::mutex mutex;
  mutable int64_t total = 0, largest = 0;
};

template <class T>
Ref<Counting> file_of_numbers(int64_t n, int64_t offset = 0) {
  std::vector<char> bytes(size_t(offset + n * int64_t(sizeof(T))));
  for (int64_t i = 0; i < n; ++i) {
    const T value = T(i % 1000);
    std::memcpy(bytes.data() + offset + i * int64_t(sizeof(T)), &value, sizeof(T));
  }
  return Ref<Counting>(new Counting(std::move(bytes)));
}

}  // namespace

TEST(Files, WhatIsCastOnTheWayIsReadOnceInPieces) {
  constexpr int64_t n = 1'000'003;  // no multiple of anything
  for (const Dtype to : {Dtype::float16, Dtype::float32, Dtype::float64, Dtype::int8}) {
    const auto file = file_of_numbers<float>(n, 5);  // unaligned
    const array a = astype(load_array(file, 5, {n}, float32, 0) + 1.0f, to);
    const array wide = astype(a, float64);
    const double* got = wide.data<double>();
    for (int64_t i = 0; i < n; ++i) {
      const double wanted = double(i % 1000 + 1);
      ASSERT_EQ(got[i], to == int8 ? double(int8_t(int64_t(wanted))) : wanted) << i;
    }
    EXPECT_EQ(file->total, n * 4);
    EXPECT_LE(file->largest, 1 << 20);
  }
}

TEST(Files, WhatReadsTransposedSeesTheWhole) {
  constexpr int64_t n = 300;
  const auto file = file_of_numbers<int32_t>(n * n);
  const array x = load_array(file, 0, {n, n}, int32, 0);
  array turned = transpose(reshape(astype(arange(0, n * n, 1, int32), int8), {n, n}));
  turned.eval();
  const array a = astype(x, float16) + astype(turned, float16) * 0;
  const array b = astype(a, float32);
  for (int64_t i = 0; i < n * n; ++i) ASSERT_EQ(b.data<float>()[i], float(i % 1000));
}

TEST(Files, AFileThatIsTooShortRaises) {
  const auto file = file_of_numbers<float>(100'000);
  EXPECT_THROW(load_array(file, 4, {100'000}, float32, 0).eval(), Error);
  EXPECT_THROW(astype(load_array(file, 4, {100'000}, float32, 0), float16).eval(), Error);
  EXPECT_THROW(load_array(file, -4, {100}, float32, 0), Error);
  EXPECT_THROW(load_blocks(file, 399'990, {1, 256}, *find_blocks("Q4_K")).eval(), Error);
  EXPECT_THROW(load_blocks(file, 0, {1, 100}, *find_blocks("Q4_K")), Error);
}

TEST(Files, BlocksStayWithinTheirBytes) {
  EXPECT_EQ(find_blocks("Q9"), nullptr);
  for (const char* name :
       {"Q4_0", "Q4_0.weight", "Q4_0.scales", "Q4_0.biases", "Q4_1", "Q4_1.weight", "Q4_1.scales",
        "Q4_1.biases", "Q5_0", "Q5_1", "Q8_0", "Q8_0.weight", "Q8_0.scales", "Q8_0.biases", "Q8_1",
        "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0",
        "MXFP4"}) {
    const BlockFormat& format = *find_blocks(name);
    const bool halves = format.type == float16;  // decoded as float32
    const size_t bytes = size_t(format.numbers) * 4;
    // On the heap, to the byte: a sanitizer sees what goes beyond.
    const std::unique_ptr<uint8_t[]> block(new uint8_t[size_t(format.bytes)]);
    const std::unique_ptr<char[]> to(new char[bytes]);
    for (int seed = 0; seed < 256; ++seed) {
      for (int i = 0; i < format.bytes; ++i) block[size_t(i)] = uint8_t(seed + i * 37);
      std::memset(to.get(), 0x5a, bytes);
      format.decode(block.get(), to.get());
    }
    const Ref<Counting> file(
        new Counting(std::vector<char>(block.get(), block.get() + format.bytes)));
    array a = load_blocks(file, 0, {1, format.numbers}, format);
    a.eval();
    EXPECT_EQ(a.dtype(), format.type);
    if (halves) {
      const auto* numbers = reinterpret_cast<const float*>(to.get());
      const auto* rounded = static_cast<const uint16_t*>(a.raw());
      for (int i = 0; i < format.numbers; ++i)
        EXPECT_EQ(rounded[i], float_to_half(numbers[i])) << name << " " << i;
    } else {
      EXPECT_EQ(std::memcmp(a.raw(), to.get(), bytes), 0) << name;
    }
  }
}
