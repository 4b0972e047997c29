// The linear algebra ops and their attributes: for the files of this room. Inputs are matrices over
// the last two axes, float32, float64, complex64 or complex128; leading axes are a batch.
#pragma once
#include "ops/linalg/linalg.h"
#include "ops/rooms.h"

namespace lazulite::linalg {

struct Triangular {
  bool upper;
  LAZULITE_FIELDS(upper)
};
struct Qr {
  bool complete;  // a square q
  bool vectors;   // outputs q, r; else r
  LAZULITE_FIELDS(complete, vectors)
};
struct Svd {
  bool full;     // square matrices of vectors
  bool vectors;  // outputs u, s, vh; else s
  LAZULITE_FIELDS(full, vectors)
};
struct Eigh {
  bool upper;    // the triangle that is read
  bool vectors;  // outputs w, v; else w
  LAZULITE_FIELDS(upper, vectors)
};
struct Eig {
  bool vectors;
  LAZULITE_FIELDS(vectors)
};
struct Pinv {
  Scalar rtol;  // singular values up to this part of the largest count as zero
  LAZULITE_FIELDS(rtol)
};

extern const Op solve_op, triangular_op, inv_op, cholesky_op, det_op, slogdet_op, adjugate_op,
    lu_op, qr_op, svd_op, eigh_op, eig_op, pinv_op, exp_op;

}  // namespace lazulite::linalg
