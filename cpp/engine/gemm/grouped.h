// Products of matrices that indices name, and of parts of two matrices: each by gemm.
#pragma once
#include "engine/gemm/gemm.h"

namespace lazulite::engine {

// out[o[t]] = the sum over such t of a[l[t]] b[r[t]]: out is `count` dense matrices m x n, zeros
// where nothing is named. Indices are in range. The stacks a and b have one batch axis.
struct NamedProducts {
  Dtype type;
  int64_t m, n, k;
  MatrixView a, b;
  int64_t terms;
  const int64_t *l, *r, *o;
  int64_t count;
  char* out;
};
void named_products(const NamedProducts&);

// out[i] = a[:, s:e] b[s:e] with s = from[i] and e = to[i]: `parts` dense matrices m x n.
struct PartProducts {
  Dtype type;
  int64_t m, n;
  MatrixView a, b;
  int64_t parts;
  const int64_t *from, *to;
  char* out;
};
void part_products(const PartProducts&);
// The other way: row k of out (b.rows x m, dense) is the sum over the parts i with s <= k < e of
// b[k] times the transpose of a[i] (a stack of m x n).
void spread_products(const PartProducts&);

}  // namespace lazulite::engine
