// Random numbers. A key is uint32[2]; the same key gives the same numbers, on every machine and for
// any number of threads: element i comes from Threefry-2x32 (20 rounds) of the key and i.
//
// A draw without a key (a null array) splits the default key.
#pragma once
#include <optional>

#include "graph/node.h"

namespace lazulite::random {

array key(uint64_t seed);  // [seed >> 32, seed & 0xffffffff]
array split(const array& key, int64_t num = 2, Stream s = default_stream());  // (num, 2)
void seed(uint64_t);                                                  // set_default_key(key(seed))
array default_key();                                                  // the state
void set_default_key(const array&);
// While a function is traced whose state is an argument, its thread has a state of its own.
void push_key(const array&);
array pop_key();                                                      // what has become of it
array next_key();                                                     // splits the default key

// width 4: uint32, width 8: uint64
array bits(const Shape&, int width = 4, const array& key = {}, Stream s = default_stream());

array uniform(const Operand& low, const Operand& high, const Shape& = {}, Dtype = float32,
              const array& key = {},
              Stream s = default_stream());  // [low, high)
array normal(const Shape& = {}, Dtype = float32, const std::optional<Operand>& loc = {},
             const std::optional<Operand>& scale = {}, const array& key = {},
             Stream s = default_stream());
// Normal vectors with these means (..., n) and covariances (..., n, n), which are positive
// semi-definite: as many as shape says, or one for each of the means and covariances.
array multivariate_normal(const array& mean, const array& cov, const Shape& shape = {},
                          Dtype = float32, const array& key = {}, Stream s = default_stream());
array bernoulli(const Operand& p = 0.5, const std::optional<Shape>& = {}, const array& key = {},
                Stream s = default_stream());
array randint(const Operand& low, const Operand& high, const Shape& = {}, Dtype = int32,
              const array& key = {},
              Stream s = default_stream());  // [low, high)
// Unnormalised logits along the axis; uint32.
array categorical(const array& logits, int axis = -1, const std::optional<Shape>& shape = {},
                  const std::optional<int>& num_samples = {}, const array& key = {},
                  Stream s = default_stream());
array gumbel(const Shape& = {}, Dtype = float32, const array& key = {},
             Stream s = default_stream());
array laplace(const Shape& = {}, Dtype = float32, double loc = 0, double scale = 1,
              const array& key = {}, Stream s = default_stream());
array truncated_normal(const Operand& lower, const Operand& upper, const std::optional<Shape>& = {},
                       Dtype = float32, const array& key = {}, Stream s = default_stream());
array permutation(int64_t n, const array& key = {}, Stream s = default_stream());  // of 0 ... n - 1
array permutation(const array& x, int axis, const array& key = {}, Stream s = default_stream());

}  // namespace lazulite::random
