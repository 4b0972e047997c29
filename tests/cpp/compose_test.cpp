// Functions that Python has, called from C++ under the same names.
#include <gtest/gtest.h>

#include <vector>

#include "lazulite.h"

using namespace lazulite;

namespace {

template <class T>
std::vector<T> values(const array& a) {
  const array dense = contiguous(a);
  const T* data = dense.data<T>();
  return {data, data + dense.size()};
}
using Ints = std::vector<int32_t>;
const array one_to_three{1, 2, 3};

}  // namespace

TEST(Compose, ScansAndStatistics) {
  const array a{1, 4, 9};
  EXPECT_EQ(values<int32_t>(cumsum(a, 0)), Ints({1, 5, 14}));
  EXPECT_EQ(values<int32_t>(cumprod(a, 0, true, Start::exclusive)), Ints({36, 9, 1}));
  EXPECT_EQ(values<int32_t>(cummax(a, -1, true, Start::inclusive)), Ints({9, 9, 9}));
  EXPECT_EQ(values<int32_t>(cumsum(a, 0, false, Start::initial)), Ints({0, 1, 5, 14}));
  EXPECT_EQ(values<int32_t>(linear_recurrence(a, array{1, 1, 1}, 0)), Ints({1, 5, 46}));
  EXPECT_EQ(values<int32_t>(diff(a, 1, 0, Operand(0))), Ints({1, 3, 5}));
  EXPECT_EQ(values<int32_t>(ptp(a, {0})), Ints({8}));
}

TEST(Compose, PadKnowsNumPysModes) {
  EXPECT_EQ(values<int32_t>(pad(one_to_three, Widths{{1, 2}})), Ints({0, 1, 2, 3, 0, 0}));
  EXPECT_EQ(values<int32_t>(pad(one_to_three, Widths{{2, 1}}, "edge")), Ints({1, 1, 1, 2, 3, 3}));
  EXPECT_EQ(values<int32_t>(pad(one_to_three, Widths{{2, 2}}, "reflect")),
            Ints({3, 2, 1, 2, 3, 2, 1}));
  EXPECT_EQ(values<int32_t>(pad(one_to_three, Widths{{1, 1}}, "symmetric")), Ints({1, 1, 2, 3, 3}));
  EXPECT_EQ(values<int32_t>(pad(one_to_three, Widths{{1, 1}}, "wrap")), Ints({3, 1, 2, 3, 1}));
  EXPECT_THROW(pad(one_to_three, Widths{{1, 1}}, "mirror"), Error);
}

TEST(Compose, ArraysAreMadeOfOthers) {
  EXPECT_EQ(values<int32_t>(kron(one_to_three, array{1, 10})), Ints({1, 10, 2, 20, 3, 30}));
  EXPECT_EQ(values<int32_t>(diff(array{1, 4, 9})), Ints({3, 5}));
  EXPECT_EQ(vecdot(one_to_three, one_to_three).item<int32_t>(), 14);
  EXPECT_EQ(trace(eye(3, 3)).item<float>(), 3);
  EXPECT_EQ(values<float>(hanning(3)), std::vector<float>({0, 1, 0}));
}

TEST(Compose, PlacesOfTheFlattenedArray) {
  const array square({1, 2, 3, 4}, Shape{2, 2});
  EXPECT_EQ(values<int32_t>(roll(square, Shape{1})), Ints({4, 1, 2, 3}));
  EXPECT_EQ(values<int32_t>(repeat(square, 2)), Ints({1, 1, 2, 2, 3, 3, 4, 4}));
  EXPECT_EQ(take(square, -1).item<int32_t>(), 4);
  EXPECT_EQ(values<int32_t>(take(square, 1, 0)), Ints({3, 4}));
  EXPECT_THROW(take(square, 4), Error);
  EXPECT_EQ(values<int32_t>(put_along_axis(square, array{0, 3}, 9)), Ints({9, 2, 3, 9}));
  EXPECT_EQ(values<int32_t>(as_strided(square, {3, 2}, {1, 1})), Ints({1, 2, 2, 3, 3, 4}));
}

TEST(Compose, AxesComeAndGo) {
  const array a = ones({2, 3, 4});
  EXPECT_EQ(moveaxis(a, {0, 1}, {2, 0}).shape(), (Shape{3, 4, 2}));
  EXPECT_EQ(atleast_3d(ones({5})).shape(), (Shape{1, 5, 1}));
  EXPECT_EQ(broadcast_shapes({{2, 1}, {3}}), (Shape{2, 3}));
  EXPECT_EQ(broadcast_arrays({ones({2, 1}), ones({3})})[1].shape(), (Shape{2, 3}));
  EXPECT_EQ(unstack(a, 1).size(), 3u);
}

TEST(Compose, WhatIsSubtractedAtRepeatedPlacesAddsUp) {
  const IndexItems twice{{IndexItem::indices, 0, {}, {}, {}, array{1, 1}}};
  EXPECT_EQ(values<int32_t>(index_subtract(one_to_three, twice, 5)), Ints({1, -8, 3}));
}

TEST(Compose, ProductsAreNamedBySubscripts) {
  const array square({1, 2, 3, 4}, Shape{2, 2});
  EXPECT_EQ(values<int32_t>(einsum("ij,jk->ki", {square, square})), Ints({7, 15, 10, 22}));
  EXPECT_EQ(einsum("ii", {square}).item<int32_t>(), 5);
  const EinsumPath path = einsum_path("ij,jk,k->i", {square, square, array{1, 1}});
  EXPECT_EQ(path.steps, (std::vector<Shape>{{1, 2}, {0, 1}}));
  EXPECT_EQ(einsum("ij,jk,k->", {square, square, array{1, 1}}, {"left", {}}).item<int32_t>(), 54);
  EXPECT_THROW(einsum("ij,jk", {square}), Error);
}

TEST(Compose, MatricesAreNamedByIndices) {
  const array stack({1, 2, 3, 4}, Shape{4, 1, 1});
  const auto at = [](std::initializer_list<int32_t> i) { return std::optional<array>(array(i)); };
  EXPECT_EQ(values<int32_t>(gather_mm(stack, stack, at({0, 3}), at({1, -1}))), Ints({2, 16}));
  const array row({1, 2, 3}, Shape{1, 3}), parts({0, 1, 1, 3}, Shape{2, 2});
  EXPECT_EQ(values<int32_t>(segmented_mm(row, transpose(row), parts)), Ints({1, 13}));
  EXPECT_EQ(values<int32_t>(block_masked_mm(row, transpose(row), 2, {},
                                            array({1, 0}, Shape{1, 2}), {})),
            Ints({5}));
}

TEST(Compose, SignalsAreConvolved) {
  EXPECT_EQ(values<int32_t>(convolve(one_to_three, array{1, 1})), Ints({1, 3, 5, 3}));
  EXPECT_EQ(values<int32_t>(correlate(one_to_three, array{0, 1})), Ints({2, 3}));
  EXPECT_EQ(values<float>(hadamard_transform(array{1, 2}, 1.0)),
            std::vector<float>({3, -1}));
}

TEST(Compose, PadsMayBeOneForEachSide) {
  const Padding padding{.constant_values = array({7, 8})};
  EXPECT_EQ(values<int32_t>(pad(one_to_three, Widths{{1, 2}}, "constant", padding)),
            Ints({7, 1, 2, 3, 8, 8}));
  EXPECT_EQ(values<int32_t>(pad(one_to_three, Widths{{2, 1}}, "reflect",
                                Padding{.reflect_type = "odd"})),
            Ints({-1, 0, 1, 2, 3, 4}));
  EXPECT_EQ(values<int32_t>(fill_diagonal(zeros({2, 3}, int32), 4)), Ints({4, 0, 0, 0, 4, 0}));
}
