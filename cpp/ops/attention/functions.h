// Python's functions of attention, in core.fast.
#pragma once
#include "ops/attention/attention.h"
#include "ops/functions.h"

namespace lazulite::functions {

template <class M>
void add_attention(M& core) {
  auto& m = core.module("fast");
  m.def(
       "scaled_dot_product_attention(q, k, v, *, scale, mask=None, sinks=None, force_fused=False, "
       "window=None, stream=None)",
       [](A q, A k, A v, double scale, const std::optional<AttentionMask>& mask,
          OptionalArray sinks, bool, OptionalInt window, S s) {
         return fast::scaled_dot_product_attention(q, k, v, scale, mask, sinks.value_or(array()),
                                                   window, s);
       },
       "Attention of many heads: softmax(scale q k^T + mask) v. q of shape (batch, heads, queries, "
       "depth), k and v of\n"
       "(batch, key heads, keys, depth): neighbouring heads of q share a head of k and v, which are "
       "not repeated. mask:\n"
       "\"causal\" (a query sees the keys up to its own place, the last ones being those of the "
       "queries), or an array that\n"
       "broadcasts to (batch, heads, queries, keys): of bools, True where a key counts, or added to "
       "the scores. sinks: a score\n"
       "for each head that takes part in the sums and has no value. window: so many places to "
       "either side of its own are\n"
       "seen. A query that sees nothing gets 0. No array of all scores is made, there or back. Sums and softmax of halves in float32. "
       "It is always fused.\n\n"
       ">>> q = mx.zeros((1, 1, 1, 2))\n"
       ">>> v = mx.array([[[[1.0, 2], [3, 4]]]])\n"
       ">>> mx.fast.scaled_dot_product_attention(q, v, v, scale=1.0)\n"
       "array([[[[2, 3]]]], dtype=float32)")
      .cases({"x(2, 3, 4, 5), x(2, 3, 6, 5), x(2, 3, 6, 5), scale=0.4",
              "x(1, 4, 5, 3), x(1, 2, 5, 3), x(1, 2, 5, 2), scale=0.7, mask='causal'",
              "x(1, 2, 3, 4), x(1, 1, 7, 4), x(1, 1, 7, 4), scale=0.5, mask='causal'",
              "x(2, 2, 4, 3), x(2, 2, 5, 3), x(2, 2, 5, 3), scale=0.5, mask=x(2, 1, 4, 5)",
              "x(2, 4, 2, 3), x(2, 2, 5, 3), x(2, 2, 5, 3), scale=1.0, sinks=x(4)",
              "x(1, 2, 6, 3), x(1, 2, 6, 3), x(1, 2, 6, 3), scale=0.6, mask='causal', window=2",
              "x(1, 1, 4, 2), x(1, 1, 6, 2), x(1, 1, 6, 2), scale=1.0, sinks=x(1), window=3",
              "x(1, 2, 0, 3), x(1, 2, 4, 3), x(1, 2, 4, 3), scale=1.0",
              "x(1, 1, 2, 3), x(1, 1, 0, 3), x(1, 1, 0, 3), scale=1.0",
              "x(2, 2, 3, 4), x(2, 2, 3, 4), x(2, 2, 3, 4), scale=0.5, mask=b(3, 1) | mx.eye(3, "
              "dtype=mx.bool_)"},
             "attention.scaled_dot_product_attention")
      .by_layout()
      .large({"x(1, 2, 131, 33), x(1, 1, 259, 33), x(1, 1, 259, 17), scale=0.2, mask='causal'",
              "x(2, 8, 1, 16), x(2, 2, 1030, 16), x(2, 2, 1030, 16), scale=0.3"});
  m.def(
       "rope(a, dims, *, traditional, base, scale, offset, freqs=None, stream=None)",
       [](A a, int dims, bool traditional, std::optional<double> base, double scale, O offset,
          OptionalArray freqs, S s) {
         const array first = as_array(offset, offset.natural(), "rope", s);
         return fast::rope(a, dims, traditional, base, scale, first, freqs.value_or(array()), s);
       },
       "Rotary position encoding (Su et al., 2021) of an array (batch, ..., places, numbers): the "
       "first dims numbers of each\n"
       "row are pairs, turned by (place + offset) * scale / base^(2 i / dims), or / freqs[i] "
       "(exactly one of base and\n"
       "freqs is given). Pairs are neighbours with traditional, else a number of the first half of "
       "dims and one of the\n"
       "second. offset: an integer, or an array of one or of one for each of the batch. Angles are "
       "float32, of float64 input\n"
       "float64.\n\n"
       ">>> mx.fast.rope(mx.ones((1, 2, 2)), 2, traditional=False, base=1.0, scale=1.0, "
       "offset=0)\n"
       "array([[[1, 1],\n"
       "        [-0.301169, 1.38177]]], dtype=float32)")
      .cases({"x(2, 3, 5, 8), 8, traditional=False, base=10000.0, scale=1.0, offset=0",
              "x(2, 3, 5, 8), 6, traditional=True, base=100.0, scale=0.5, offset=3",
              "x(2, 5, 70), 68, traditional=True, base=1000.0, scale=1.0, offset=7",
              "x(2, 2, 2, 3, 37), 34, traditional=False, base=50.0, scale=1.0, offset=i(9, 2)",
              "x(1, 4, 6), 6, traditional=False, base=None, scale=1.0, offset=0, "
              "freqs=mx.array([1.0, 2.0, 5.0])",
              "x(0, 4, 6), 6, traditional=False, base=10.0, scale=1.0, offset=0"},
             "attention.rope")
      .large({"x(2, 3, block + 1, 34), 34, traditional=True, base=1000.0, scale=0.1, offset=2",
              "x(1, 5, 65, tile + 2), 32, traditional=False, base=1000.0, scale=0.1, offset=2"});
}

}  // namespace lazulite::functions
