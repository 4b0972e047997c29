// What the elements up to each one along an axis combine to: sums, products, extremes, logsumexp.
// One fixed order (engine/scan/kernels.h): same bits for any layout, number of threads and
// instruction set. Halves accumulate in float32 and are rounded where they are stored.
#pragma once
#include <optional>

#include "graph/node.h"

namespace lazulite {

// reverse: from the last element back. exclusive: without the element itself, so that what nothing
// combines to comes first; initial: that comes first besides, and there is one element more.
enum class Start : uint8_t { inclusive, exclusive, initial };
inline std::ostream& operator<<(std::ostream& out, Start start) {
  constexpr const char* names[] = {"inclusive", "exclusive", "initial"};
  return out << names[int(start)];
}

// The sum of bool is int32; other dtypes are kept.
array cumsum(const array&, int axis, bool reverse = false, Start = Start::inclusive,
             Stream s = default_stream());
array cumprod(const array&, int axis, bool reverse = false, Start = Start::inclusive,
              Stream s = default_stream());
// nan from the first nan on. Derivatives go to the last of equal elements.
array cummax(const array&, int axis, bool reverse = false, Start = Start::inclusive,
             Stream s = default_stream());
array cummin(const array&, int axis, bool reverse = false, Start = Start::inclusive,
             Stream s = default_stream());
// log(cumsum(exp(a))) without overflow; integers and bool become float32 first.
array logcumsumexp(const array&, int axis, bool reverse = false, Start = Start::inclusive,
                   Stream s = default_stream());
// y[i] = a[i] * y[i - 1] + b[i] along an axis, from y = 0 on; reversed, from the last element back.
// Both have one shape and dtype.
array linear_recurrence(const array& a, const array& b, int axis, bool reverse = false,
                        Stream s = default_stream());

}  // namespace lazulite
