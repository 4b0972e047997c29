// The reductions, their attributes and what kernels ask of them: for the files of this room.
#pragma once
#include "engine/reduce/kernels.h"
#include "ops/lanes.h"
#include "ops/reduce/reduce.h"
#include "ops/rooms.h"

namespace lazulite {

struct Reduce {
  Axes axes;  // sorted, not negative
  bool keepdims;
  LAZULITE_FIELDS(axes, keepdims)
};
struct Variance {
  Axes axes;
  bool keepdims;
  int ddof;
  LAZULITE_FIELDS(axes, keepdims, ddof)
};

struct Along {
  int behind;  // axes behind it, one or more: another one in front changes nothing
  LAZULITE_FIELDS(behind)
};

// What the reduction of a monoid is besides its attributes (Op::family): the dtype that elements
// are read as is that of the result but for halves, whose accumulators are rounded to it.
struct Reduction {
  const char* name;
  engine::Monoid monoid;
  Dtype (*result)(Dtype in);
  bool truth = false;  // of an element counts whether it is zero
  Dtype read(Dtype in) const { return is_half(in) && !truth ? in : result(in); }
};

// The result of nothing, by monoid; -1: there is none.
inline constexpr int identities[engine::monoid_count] = {0,  1,  -1, -1, 1,
                                                             0, -1, -1, 0,  0};

inline Dtype mean_type(Dtype t) { return compute_type(inexact_type(t)); }
double divisor_of(const Node&);  // of a variance
void check_not_empty(const char* op, const array& a, const Axes& axes);

const OpList& reductions();  // the ops with a Reduction
extern const Op variance_op, mean_parts_op, logsumexp_op, median_op, argmax_op, argmin_op,
    softmax_op, softmax_slope_op, softmax_along_op, softmax_slope_along_op;

}  // namespace lazulite
