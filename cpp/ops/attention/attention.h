// Attention (the sub-module `fast`): softmax(scale q k^T + mask) v of each head, without a matrix
// of all scores in memory, forward and backward.
#pragma once
#include <optional>
#include <string>

#include "graph/node.h"

namespace lazulite {

// Which keys a query sees: an array that broadcasts to (batch, heads, queries, keys), of bools or
// added to the scores; or, by name, "causal".
struct AttentionMask {
  std::string name;
  array values = {};
};

namespace fast {

// q: (batch, heads, queries, depth), k and v: (batch, key heads, keys, depth), of which
// neighbouring heads of q share one. Causal, and with a window, queries stand at the last places of
// the keys (at the first ones where there are more queries than keys); a window counts places to
// either side, the query's own included. sinks: (heads,), scores for which there is no value. What
// is not given is a null array. A row that sees no key is nan, as it is of a softmax; with a sink
// it is 0.
array scaled_dot_product_attention(const array& q, const array& k, const array& v, double scale,
                                   const std::optional<AttentionMask>& mask = {},
                                   const array& sinks = {},
                                   const std::optional<int>& window = {},
                                   Stream s = default_stream());

// Rotary positions (Su et al., 2021) of x, (batch, ..., places, numbers): of the first `dims`
// numbers of each row pairs are turned by (place + offset) * scale / freqs, of which there is one
// for each pair; without any they are base^(2 i / dims). Pairs are neighbours (`traditional`), or a
// number of the first half of dims and one of the second. offset: an integer, or one for each of
// the batch.
array rope(const array& x, int dims, bool traditional, std::optional<double> base, double scale,
           const array& offset, const array& freqs = {}, Stream s = default_stream());

}  // namespace fast
}  // namespace lazulite
