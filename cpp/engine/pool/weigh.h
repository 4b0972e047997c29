// An axis made longer or shorter: its elements are sums of given elements times weights. The bits
// of a result follow from sizes and dtype alone.
#pragma once
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"

namespace lazulite::engine {

// Element o is the sum over t from first[o] to first[o + 1] of weights[t] * element from[t].
struct Weights {
  std::vector<int64_t> first, from;
  std::vector<double> weights;

  int64_t size() const { return int64_t(first.size()) - 1; }
  // The transposed of it: for an axis of n elements.
  Weights turned(int64_t n) const;
};

// x: dense, (outer, in, inner), of a floating dtype; halves are summed in float32 and rounded once.
struct Weighing {
  Dtype type;
  int64_t outer, in, inner;
};
void weigh(const Weighing&, const Weights&, const char* x, char* out);
// Two axes that follow each other, x: (outer, in, then, inner): the first, line by line, then the
// second, while a line of it is in cache. Halves are rounded in between.
void weigh_both(const Weighing&, const Weights& first, int64_t then, const Weights& second,
                const char* x, char* out);

}  // namespace lazulite::engine
