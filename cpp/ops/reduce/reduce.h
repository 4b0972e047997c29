// Reductions over axes, by one fixed tree: element i of the reduced length goes to lane i mod 32
// inside a chunk of 4096, lanes fold by halves, chunks pairwise by index. Same bits for any layout,
// number of threads and instruction set.
#pragma once
#include "graph/node.h"

namespace lazulite {

array sum(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array prod(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array max(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array min(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array all(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array any(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
// Index of the first largest (smallest) element, or of the first nan; uint32.
array argmax(const array&, int axis, bool keepdims = false, Stream s = default_stream());
array argmin(const array&, int axis, bool keepdims = false, Stream s = default_stream());

array mean(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array var(const array&, const Axes&, bool keepdims = false, int ddof = 0, Stream s = default_stream());
array std(const array&, const Axes&, bool keepdims = false, int ddof = 0, Stream s = default_stream());
array logsumexp(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array softmax(const array&, const Axes&, bool precise = false, Stream s = default_stream());

}  // namespace lazulite
