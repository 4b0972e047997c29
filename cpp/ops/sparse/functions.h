// Python's functions of sparse matrices, in the sub-module core.sparse.
#pragma once
#include "ops/functions.h"
#include "ops/sparse/sparse.h"

namespace lazulite::functions {

template <class M>
void add_sparse(M& core) {
  auto& m = core.module("sparse");
  m.def(
       "product(data, indices, indptr, b, *, stream=None)",
       [](A data, A indices, A indptr, A b, S s) {
         return sparse::product(data, indices, indptr, b, s);
       },
       "A sparse matrix times b. Row i of the matrix has the elements data[p] in the columns "
       "indices[p], for p from indptr[i]\n"
       "to indptr[i + 1]; what stands in one place adds up. data of shape (count, r, c) are "
       "blocks, and indices count in blocks.\n"
       "b has the shapes of the right side of matmul. Integers wrap; halves accumulate in float32; "
       "sums take elements in order\n"
       "(of one column: every fourth), so that bits depend on nothing else. ValueError for shapes "
       "and indptr that do not fit,\n"
       "IndexError for indices out of range. Gradients for data and b. Beyond the reference.\n\n"
       ">>> mx.sparse.product(mx.array([2.0, 3.0]), mx.array([1, 0]), mx.array([0, 1, 2]), "
       "mx.array([10.0, 1.0]))\n"
       "array([2, 30], dtype=float32)")
      .cases({"x(4), mx.array([0, 2, 1, 1]), mx.array([0, 1, 1, 4]), x(3, 5)",
              "x(4), mx.array([0, 2, 1, 1]), mx.array([0, 1, 1, 4]), x(3)",
              "x(7), i(6, 7), mx.array([0, 7]), x(6, 37)",
              "x(3), mx.array([0, 1, 1]), mx.array([0, 2, 3]), x(2, 2, 3)",
              "x(3, 2, 3), mx.array([1, 0, 1]), mx.array([0, 2, 2, 3]), x(6, 19)",
              "x(2, 5, 1), mx.array([1, 0]), mx.array([0, 1, 2]), x(2)",
              "x(0), i(1, 0), mx.array([0, 0, 0]), x(3, 4)",
              "x(2), mx.array([0, 1]), mx.array([0, 2]), x(2, 0)",
              "x(0), i(1, 0), mx.array([0]), x(3, 4)"},
             "sparses.product")
      .large({"x(4000), i(200, 4000), mx.arange(0, 4001, 4), x(200, 2 * tile // 3)",
              "x(grain * 5), i(900, grain * 5), mx.arange(0, grain * 5 + 1, 5), x(900)",
              "x(150, 15, 16), i(9, 150), mx.arange(0, 151, 3), x(144, 131)",
              "x(grain), i(7, grain), mx.array([0, grain]), x(7, 3)"});
  m.def(
       "sampled_product(a, b, indices, indptr, block=(1, 1), *, stream=None)",
       [](A a, A b, A indices, A indptr, const Shape& block, S s) {
         if (block.size() != 2 || block[0] < 1 || block[1] < 1)
           fail(Kind::value, "sparse.sampled_product", "block: got ", block,
                ", expected two numbers of 1 or more");
         return sparse::sampled_product(a, b, indices, indptr, block[0], block[1], s);
       },
       "The elements of a @ b.T at the places of a sparse pattern (of blocks: (count, r, c)): for "
       "p from indptr[i] to\n"
       "indptr[i + 1] the sum over k of a[i, k] * b[indices[p], k]. The gradient of product for "
       "its data. Errors and dtypes as\n"
       "product. Beyond the reference.\n\n"
       ">>> mx.sparse.sampled_product(mx.array([[1.0], [2.0]]), mx.array([[3.0], [4.0]]), "
       "mx.array([1, 0]), mx.array([0, 1, 2]))\n"
       "array([4, 6], dtype=float32)")
      .cases({"x(3, 5), x(4, 5), mx.array([0, 3, 1, 1, 2]), mx.array([0, 4, 4, 5])",
              "x(2, 37), x(6, 37), i(6, 9), mx.array([0, 2, 9])",
              "x(4, 3), x(9, 3), mx.array([2, 0, 1]), mx.array([0, 1, 3]), (2, 3)",
              "x(2, 0), x(3, 0), mx.array([0, 2]), mx.array([0, 1, 2])",
              "x(0, 3), x(2, 3), i(1, 0), mx.array([0])"},
             "sparses.sampled_product")
      .large({"x(100, block + 3), x(70, block + 3), i(70, 500), mx.arange(0, 501, 5)",
              "x(3, 16), x(9, 16), i(9, grain), mx.array([0, 0, 7, grain])",
              "x(60, 33), x(60, 33), i(15, 150), mx.arange(0, 151, 10), (4, 4)"});
  m.def(
       "group(numbers, size, *, stream=None)",
       [](A numbers, int64_t size, S s) -> ArrayTuple { return sparse::group(numbers, size, s); },
       "Where each number from 0 to size - 1 stands: (indptr, order), with the places of n, as "
       "they follow each other, at\n"
       "order[indptr[n]:indptr[n + 1]]. IndexError for a number that is not below size. Beyond the "
       "reference.\n\n"
       ">>> mx.sparse.group(mx.array([2, 0, 2]), 3)\n"
       "(array([0, 1, 1, 3], dtype=int32), array([1, 0, 2], dtype=int32))")
      .cases({"i(5, 9), 5", "i(3, 4), 7", "i(1, 0), 3", "i(1, 0), 0"}, "sparses.group")
      .large({"i(1000, chunk + 1), 1000"});
  m.def(
       "row_numbers(indptr, size, *, stream=None)",
       [](A indptr, int64_t size, S s) { return sparse::row_numbers(indptr, size, s); },
       "The row of each of `size` places, where row i has those from indptr[i] to indptr[i + 1]. "
       "ValueError for an indptr that\n"
       "does not go up from 0 to size or less: what stands behind the last row gets its number. "
       "Beyond the reference.\n\n"
       ">>> mx.sparse.row_numbers(mx.array([0, 1, 1, 3]), 3)\n"
       "array([0, 2, 2], dtype=int32)")
      .cases({"mx.array([0, 1, 1, 3]), 3", "mx.array([0]), 0", "mx.array([0, 0, 5, 5]), 5"},
             "sparses.row_numbers")
      .large({"mx.arange(0, chunk * 2 + 1, 2), chunk * 2"});
  m.def(
       "product_pattern(indices_a, indptr_a, indices_b, indptr_b, columns, *, size=None, "
       "stream=None)",
       [](A ia, A pa, A ib, A pb, int64_t columns, std::optional<int64_t> size,
          S s) -> ArrayTuple {
         return sparse::product_pattern(ia, pa, ib, pb, columns, size, s);
       },
       "Where the product of two sparse matrices has elements: (indices, indptr), with the columns "
       "of a row in order. columns:\n"
       "those of the second matrix. Their number is looked at now, unless size says how many indices "
       "there are: what is left over\n"
       "stands behind the last row, and more is a ValueError when it is computed. TracerError "
       "without size where the patterns are\n"
       "arguments of a function that is compiled. Beyond the reference.\n\n"
       ">>> mx.sparse.product_pattern(mx.array([1]), mx.array([0, 1]), mx.array([0, 2]), "
       "mx.array([0, 0, 2]), 3)\n"
       "(array([0, 2], dtype=int32), array([0, 2], dtype=int32))")
      .cases({}, "-");
  m.def(
       "product_at(data_a, indices_a, indptr_a, data_b, indices_b, indptr_b, indices, indptr, "
       "columns, *, stream=None)",
       [](A a, A ia, A pa, A b, A ib, A pb, A indices, A indptr, int64_t columns, S s) {
         return sparse::product_at({a, ia, pa}, {b, ib, pb}, indices, indptr, columns, s);
       },
       "The elements of the product of two sparse matrices at the places of a third pattern; "
       "columns: those of the second\n"
       "matrix. What the pattern leaves out is not returned. Errors and dtypes as product. Beyond "
       "the reference.\n\n"
       ">>> mx.sparse.product_at(mx.array([2.0]), mx.array([1]), mx.array([0, 1]), mx.array([3.0, "
       "4.0]), mx.array([0, 2]),\n"
       "...                      mx.array([0, 0, 2]), mx.array([2]), mx.array([0, 1]), 3)\n"
       "array([8], dtype=float32)")
      .cases({"x(4), mx.array([0, 2, 1, 1]), mx.array([0, 1, 4]), x(5), mx.array([0, 3, 1, 2, 3]), "
              "mx.array([0, 2, 2, 5]), mx.array([0, 3, 1]), mx.array([0, 2, 3]), 4",
              "x(6), i(3, 6), mx.array([0, 6]), x(9), i(2, 9), mx.array([0, 2, 5, 9]), "
              "mx.array([0, 1]), mx.array([0, 2]), 2"},
             "sparses.product_at")
      .large({"x(900), i(30, 900), mx.arange(0, 901, 3), x(300), i(40, 300), "
              "mx.arange(0, 301, 10), i(40, 600), mx.arange(0, 601, 2), 40"});
}

}  // namespace lazulite::functions
