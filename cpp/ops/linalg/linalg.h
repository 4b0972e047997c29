// Linear algebra: matrices are the last two axes, leading axes a batch. float32, float64 and their
// complex dtypes; integers become float32. What has no result (singular, not positive definite, no
// convergence) is a linalg error when it is evaluated.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "graph/node.h"

namespace lazulite::linalg {

struct Order {  // of a norm: a number, or "fro", "f", "nuc"
  std::variant<double, std::string> value;
};

// ---- systems; a vector b is one column
array solve(const array& a, const array& b, Stream s = default_stream());
array solve_triangular(const array& a, const array& b, bool upper = false,
                       Stream s = default_stream());
array inv(const array& a, Stream s = default_stream());
array tri_inv(const array& a, bool upper = false, Stream s = default_stream());
array pinv(const array& a, const std::optional<Operand>& rtol = {}, Stream s = default_stream());
// x, residuals (of no elements unless there are more rows than columns), rank, singular values
std::vector<array> lstsq(const array& a, const array& b, std::optional<double> rcond = {},
                         Stream s = default_stream());

// ---- factors
array cholesky(const array& a, bool upper = false, Stream s = default_stream());
array cholesky_inv(const array& factor, bool upper = false, Stream s = default_stream());
std::vector<array> lu_factor(const array& a, Stream s = default_stream());  // LU, pivots
std::vector<array> lu(const array& a, Stream s = default_stream());         // p, L, U: a = L[p] U
std::vector<array> qr(const array& a, const std::string& mode = "reduced",
                      Stream s = default_stream());
std::vector<array> svd(const array& a, bool compute_uv = true, bool full_matrices = true,
                       Stream s = default_stream());
array svdvals(const array& a, Stream s = default_stream());
std::vector<array> eigh(const array& a, const std::string& uplo = "L", Stream s = default_stream());
array eigvalsh(const array& a, const std::string& uplo = "L", Stream s = default_stream());
std::vector<array> eig(const array& a, Stream s = default_stream());
array eigvals(const array& a, Stream s = default_stream());

// ---- numbers
array det(const array& a, Stream s = default_stream());
std::vector<array> slogdet(const array& a, Stream s = default_stream());
array norm(const array& a, const std::optional<Order>& = {}, const std::optional<Axes>& = {},
           bool keepdims = false, Stream s = default_stream());
array vector_norm(const array& a, const std::optional<Axes>& = {}, bool keepdims = false,
                  const Order& = {2.0}, Stream s = default_stream());
array matrix_norm(const array& a, bool keepdims = false, const Order& = {"fro"},
                  Stream s = default_stream());
array cond(const array& a, const std::optional<Order>& = {}, Stream s = default_stream());
array matrix_rank(const array& a, const std::optional<Operand>& tol = {},
                  const std::optional<Operand>& rtol = {}, Stream s = default_stream());

// ---- products
array matrix_power(const array& a, int64_t n, Stream s = default_stream());
array matrix_exp(const array& a, Stream s = default_stream());
array multi_dot(const std::vector<array>& arrays, Stream s = default_stream());
array cross(const array& a, const array& b, int axis = -1, Stream s = default_stream());

}  // namespace lazulite::linalg
