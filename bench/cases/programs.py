"""Real programs of an ocean model: hundreds of elementwise ops, dozens of slice updates.

`equation_of_state`: specific volume of seawater and its thermal expansion by the 75-term polynomial
of Roquet, Madec, McDougall and Barker, "Accurate polynomial expressions for the density and
specific volume of seawater using the TEOS-10 standard", Ocean Modelling 90 (2015), 29-43.
`turbulence` and
`mixing` are of the kind found in such models (Gaspar et al. 1990; Griffies 1998): differences along
each axis, limiters, a tridiagonal solver down each column, all by writing slices.
"""

from cases import Work, case

# Of xs^i ys^j z^k: TABLE[k][j][i], in units of 1e-5 m^3/kg.
TABLE = [
    [
        [
            107.69995862,
            -31.038981976,
            66.928067038,
            -85.047933937,
            58.086069943,
            -21.092370507,
            3.1932457305,
        ],
        [-1.5649734675, 3.5009599764, -4.3592678561, 3.4532461828, -1.1959409788, 0.13864594581],
        [2.7762106484, -3.7435842344, 3.5907822760, -1.8698584187, 0.38595339244],
        [-1.6521159259, 2.4141479483, -1.4353633048, 0.22863324556],
        [0.69111322702, -0.87595873154, 0.43703680598],
        [-0.080539615540, -0.033052758900],
        [0.020543094268],
    ],
    [
        [-6.0799143809, 2.4262468747, -3.4792460974, 3.7470777305, -1.7322218612, 0.30927427253],
        [1.8505765429, -0.95677088156, 1.1100834765, -0.98447117844, 0.25909225260],
        [-1.1716606853, -0.023678308361, 0.29283346295, -0.048826139200],
        [0.79279656173, -0.34558773655, 0.031655306078],
        [-0.34102187482, 0.12956717783],
        [0.050736766814],
    ],
    [
        [0.99856169219, -0.058484432984, -0.48122251597, 0.49263106998, -0.17811974727],
        [-0.11736386731, -0.55699154557, 0.54620748834, -0.13544185627],
        [0.21305028740, 0.039137387080, -0.065731104067],
        [-0.046132540037, 0.00077618888092],
        [-0.0063352916514],
    ],
    [
        [-0.11309361437, 0.036310188515, 0.0016746303780],
        [-0.036527006553, -0.027295696237],
        [0.028695905159],
    ],
    [[0.010531153080, -0.011147125423], [0.031454099902]],
    [[-0.0012647261286]],
    [[0.00019613503930]],
]


def polynomial(terms, *variables):
    """Horner's rule over nested tables; the last variable is the innermost."""
    if not variables:
        return terms
    total = None
    for part in reversed(terms):
        value = polynomial(part, *variables[1:])
        total = value if total is None else value + variables[0] * total
    return total


def by_temperature(table):
    """The table of the derivative with respect to the second variable."""
    out = [[[j * c for c in row] for j, row in enumerate(part)][1:] for part in table]
    return [part for part in out if part]


SLOPES = by_temperature(TABLE)


def equation_of_state(m, sa, ct, p):
    """Density and thermal expansion from absolute salinity, conservative temperature, pressure."""
    x = m.sqrt(sa * 0.0248826675584615 + 0.5971840214030754)
    y = ct * 0.025
    z = p * 1e-4
    volume = polynomial(TABLE, z, y, x)
    slope = polynomial(SLOPES, z, y, x)
    return 1e5 / volume, slope * 0.025 / volume


def count_operations():
    """Arithmetic of one element, by running the formula over a counter."""
    done = [0]

    class Counter:
        def op(self, other=None):
            done[0] += 1
            return Counter()

        __add__ = __radd__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = op

    class Namespace:
        sqrt = staticmethod(Counter.op)

    equation_of_state(Namespace, Counter(), Counter(), Counter())
    return done[0]


OPERATIONS = count_operations()


def water(api, dtype, size):
    bounds = ((30, 40), (-2, 30), (0, 5000))
    return [api.data(dtype, size, low=a, high=b, seed=k) for k, (a, b) in enumerate(bounds)]


for size, label in ((4096, "4096"), (10**6, "1e6")):
    for dtype in ("float32", "float64"):

        @case(
            "programs",
            f"equation of state, {label} {dtype}",
            tolerance=1e-4,
            flops=lambda api, size=size: OPERATIONS * api.n(size),
        )
        def state(api, size=size, dtype=dtype):
            args = water(api, dtype, size)
            if api.name == "numexpr":
                return Work(several_expressions(api, *args), args)
            return Work(api.compiled(lambda *a: equation_of_state(api.lib, *a), *args), args)


def several_expressions(api, *args):
    """numexpr has one result for an expression."""
    parts = [api.run(lambda *a, k=k: equation_of_state(api.lib, *a)[k], *args) for k in (0, 1)]
    return lambda: [part() for part in parts]


GRID = (16, 16, 16)


def limiter(m, r):
    """Superbee."""
    return m.maximum(m.maximum(m.minimum(2.0 * r, 1.0), m.minimum(r, 2.0)), 0.0)


def advected(m, put, q, wind, axis):
    """Differences of fluxes along an axis, limited; edges stay 0."""

    def at(a, b):
        return tuple(slice(a, b) if k == axis else slice(None) for k in range(3))

    step = put(m.zeros_like(q), at(None, -1), q[at(1, None)] - q[at(None, -1)])
    before = put(m.zeros_like(step), at(1, None), step[at(None, -1)])
    after = put(m.zeros_like(step), at(None, -1), step[at(1, None)])
    up = wind > 0.0
    near = m.where(up, before, after)
    safe = m.where(m.abs(step) < 1e-6, 1e-6, step)
    weight = limiter(m, near / safe)
    edge = put(m.zeros_like(q), at(None, -1), 0.5 * (q[at(None, -1)] + q[at(1, None)]))
    flux = wind * edge - m.abs(wind) * (1.0 - weight + m.abs(wind) * weight) * step * 0.5
    out = put(m.zeros_like(q), at(1, None), flux[at(None, -1)] - flux[at(1, None)])
    return put(out, at(0, 1), 0.0 - flux[at(0, 1)])


def tridiagonal(m, put, a, b, c, d):
    """Thomas's algorithm along the last axis, level by level."""
    levels = d.shape[-1]
    every = slice(None)
    cs, ds = m.zeros_like(c), m.zeros_like(d)
    cs = put(cs, (every, every, 0), c[..., 0] / b[..., 0])
    ds = put(ds, (every, every, 0), d[..., 0] / b[..., 0])
    for k in range(1, levels):
        scale = 1.0 / (b[..., k] - a[..., k] * cs[..., k - 1])
        cs = put(cs, (every, every, k), c[..., k] * scale)
        ds = put(ds, (every, every, k), (d[..., k] - a[..., k] * ds[..., k - 1]) * scale)
    x = ds * 1.0
    for k in range(levels - 2, -1, -1):
        x = put(x, (every, every, k), ds[..., k] - cs[..., k] * x[..., k + 1])
    return x


def turbulence(m, put, e, u, v, w, rho):
    """One step of turbulent kinetic energy: shear, buoyancy, an implicit vertical diffusion with
    dissipation, and advection."""
    every = slice(None)
    up, down = (every, every, slice(1, None)), (every, every, slice(None, -1))
    shear = put(m.zeros_like(e), down, m.square(u[up] - u[down]) + m.square(v[up] - v[down]))
    buoyancy = put(m.zeros_like(e), down, 0.1 * (rho[up] - rho[down]))
    root = m.sqrt(m.maximum(e, 1e-6))
    length = m.minimum(1.4142135 * root / m.sqrt(m.maximum(buoyancy, 1e-4)), 5.0)
    kappa = m.minimum(0.1 * length * root, 10.0)
    forced = e + 0.05 * (kappa * shear - kappa * buoyancy)
    half = put(m.zeros_like(e), down, 0.025 * (kappa[up] + kappa[down]))
    above = put(m.zeros_like(e), up, half[down])
    diagonal = 1.0 + half + above + 0.05 * 0.7 * root / length
    solved = tridiagonal(m, put, 0.0 - above, diagonal, 0.0 - half, forced)
    surface = m.maximum(solved[..., -1], 1e-3)
    solved = put(solved, (every, every, -1), surface)
    moved = advected(m, put, solved, u, 0) + advected(m, put, solved, v, 1)
    moved = moved + advected(m, put, solved, w, 2)
    inside = (slice(2, -2), slice(2, -2), every)
    return put(solved, inside, solved[inside] + 0.05 * moved[inside]), kappa


def mixing(m, put, t, s):
    """The diffusion tensor along surfaces of equal density and its tendency: slopes from
    differences of both tracers at all four neighbours, tapered, summed into fluxes of each axis."""
    alpha, beta = 0.2 + 0.01 * t, 0.8 - 0.01 * s
    every = slice(None)

    def at(axis, a, b):
        return tuple(slice(a, b) if k == axis else slice(None) for k in range(3))

    def difference(q, axis):
        return put(
            m.zeros_like(t), at(axis, None, -1), q[at(axis, 1, None)] - q[at(axis, None, -1)]
        )

    rise = [difference(t, k) for k in range(3)], [difference(s, k) for k in range(3)]
    down = alpha * rise[0][2] - beta * rise[1][2]
    down = m.minimum(down, -1e-3)
    tendency, vertical = m.zeros_like(t), m.zeros_like(t)
    for axis in (0, 1):
        side = alpha * rise[0][axis] - beta * rise[1][axis]
        flux = m.zeros_like(t)
        for shift in (0, 1):
            for level in (0, 1):
                near, far = at(axis, shift, None), at(axis, None, -shift or None)
                below = put(m.zeros_like(t), at(2, level, None), down[at(2, None, -level or None)])
                moved = put(m.zeros_like(t), far, below[near])
                slope = 0.0 - side / m.minimum(moved, -1e-3)
                taper = 0.5 * (1.0 + m.tanh((0.01 - m.abs(slope)) / 0.001))
                weight = 0.25 * taper
                flux = flux + weight * (rise[0][axis] + slope * rise[0][2])
                vertical = vertical + weight * slope * slope
        tendency = put(
            tendency,
            at(axis, 1, None),
            tendency[at(axis, 1, None)] + flux[at(axis, 1, None)] - flux[at(axis, None, -1)],
        )
    part = put(
        m.zeros_like(t), (every, every, slice(None, -1)), vertical[:, :, 1:] * rise[0][2][:, :, :-1]
    )
    tendency = put(
        tendency,
        (every, every, slice(1, None)),
        tendency[:, :, 1:] + part[:, :, 1:] - part[:, :, :-1],
    )
    return t + 0.01 * tendency, vertical


def on_grid(name, f, bounds):
    for dtype in ("float32", "float64"):

        @case("programs", f"{name}, 4096 {dtype}", tolerance=1e-3)
        def make(api, dtype=dtype):
            if api.name == "numexpr":
                return None
            args = [
                api.array(api.values(dtype, GRID, a, b, k), dtype)
                for k, (a, b) in enumerate(bounds)
            ]
            return Work(api.compiled(lambda *a: f(api.lib, api.update, *a), *args), args)


on_grid("turbulence", turbulence, ((0.01, 1), (-0.4, 0.4), (-0.4, 0.4), (-0.1, 0.1), (0, 1)))
on_grid("mixing", mixing, ((5, 15), (3, 7)))

STEPS = 20


@case("programs", f"turbulence, a loop of {STEPS} steps, 4096 float32", tolerance=1e-3)
def steps_of_turbulence(api):
    if api.name in ("numexpr", "mlx"):
        return None
    bounds = ((0.01, 1), (-0.4, 0.4), (-0.4, 0.4), (-0.1, 0.1), (0, 1))
    first, *rest = [
        api.array(api.values("float32", GRID, a, b, k), "float32")
        for k, (a, b) in enumerate(bounds)
    ]

    def step(e, *rest):
        return turbulence(api.lib, api.update, e, *rest)[0]

    if api.name in ("lazulite", "jax"):
        loop = (api.mx if api.name == "lazulite" else api.jax.lax).fori_loop

        def run(e, *rest):
            return loop(0, STEPS, lambda i, e: step(e, *rest), e)

    else:

        def run(e, *rest):
            for _ in range(STEPS):
                e = step(e, *rest)
            return e

    return Work(api.compiled(run, first, *rest), [first, *rest])
