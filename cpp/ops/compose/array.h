// Arrays and numbers made of other functions: diagonals and triangles, grids, products
// that no kernel of their own computes.
#pragma once
#include <optional>
#include <vector>

#include "graph/node.h"

namespace lazulite {

// Ones on (eye) or on and below (tri) the k-th diagonal.
array eye(int64_t n, int64_t m, int64_t k = 0, Dtype = float32, Stream s = default_stream());
array tri(int64_t n, int64_t m, int64_t k = 0, Dtype = float32, Stream s = default_stream());
array tril(const array&, int64_t k = 0, Stream s = default_stream());
array triu(const array&, int64_t k = 0, Stream s = default_stream());
// A vector on the k-th diagonal of a square; the k-th diagonal of a matrix.
array diag(const array&, int64_t k = 0, Stream s = default_stream());
// a with values on its main diagonal (of more axes than two: where all indices are equal, and sizes
// are); values are read in order, and again from the first where there are fewer. wrap: in a tall
// matrix it goes on a row below where it left the last column.
array fill_diagonal(const array& a, const Operand& values, bool wrap = false,
                    Stream s = default_stream());
// The sum of a diagonal, added in the dtype if one is given.
array trace(const array&, int64_t offset = 0, int axis1 = 0, int axis2 = 1,
            const std::optional<Dtype>& = {}, Stream s = default_stream());
std::vector<array> meshgrid(const std::vector<array>&, bool sparse = false,
                            bool matrix_order = false, Stream s = default_stream());
array kron(const array& a, const array& b, Stream s = default_stream());
// Sums of conj(a) * b along an axis.
array vecdot(const array& a, const array& b, int axis = -1, Stream s = default_stream());

}  // namespace lazulite
