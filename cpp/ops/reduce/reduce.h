// Reductions over axes, by one fixed tree: element i of the reduced length (row-major over the reduced
// axes) goes to lane i mod 32 inside a chunk of 4096, lanes fold by halves, chunks pairwise by index.
// Same bits for any layout and number of threads.
#pragma once
#include "graph/node.h"

namespace lazulite {

// sum and prod of bool and integers up to 32 bits are int32 or uint32; halves accumulate in float32.
array sum(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array prod(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
// nan if any is nan; of nothing: a value error.
array max(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array min(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array all(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array any(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());

array mean(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array var(const array&, const Axes&, bool keepdims = false, int ddof = 0, Stream s = default_stream());
array logsumexp(const array&, const Axes&, bool keepdims = false, Stream s = default_stream());
array softmax(const array&, const Axes&, Stream s = default_stream());

}  // namespace lazulite
