"""Systems, factors and eigenvalues of one matrix, and of many small ones."""

from cases import F, formula


def of_matrix(name, size, f, *inputs, n_cubed, tolerance=1e-2, without=()):
    formula(
        "linalg",
        f"{name} {size} float32",
        f,
        *(inputs or (F(size, size),)),
        tolerance=tolerance,
        flops=lambda api: n_cubed * api.n(size) ** 3,
        without=without,
    )


def dominated(m, a):
    """Hermitian and positive definite: elementwise work alone."""
    n = a.shape[-1]
    return a + m.swapaxes(a, -1, -2) + 2.0 * n * m.eye(n, dtype=a.dtype)


of_matrix("solve", 512, lambda m, a, b: m.linalg.solve(a, b), F(512, 512), F(512, 1), n_cubed=2 / 3)
of_matrix("inv", 512, lambda m, a: m.linalg.inv(a), n_cubed=2)
of_matrix("cholesky", 1024, lambda m, a: m.linalg.cholesky(dominated(m, a)), n_cubed=1 / 3)
of_matrix("qr", 512, lambda m, a: abs(m.linalg.qr(a)[1]), n_cubed=8 / 3)
of_matrix("svd", 256, lambda m, a: m.linalg.svd(a)[1], n_cubed=20)
of_matrix("eigh", 256, lambda m, a: m.linalg.eigh(a + m.swapaxes(a, -1, -2))[0], n_cubed=9)
formula(
    "linalg",
    "1,000 systems of 8 x 8 float32",
    lambda m, a, b: m.linalg.solve(dominated(m, a), b),
    F(1000, 8, 8),
    F(1000, 8, 1),
    tolerance=1e-2,
)
