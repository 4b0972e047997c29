"""Random numbers: keys, shapes, distributions."""

import numpy as np
import pytest
import scipy.stats

import lazulite.core as mx

N = 200_000
KEY = mx.random.key(42)


def test_keys():
    assert (
        mx.random.key(0).tolist() == [0, 0]
        and mx.random.key(2**32 + 5).tolist() == [1, 5]
        and mx.random.key(2**64 - 1).tolist() == [2**32 - 1] * 2
    )
    assert mx.random.split(mx.random.key(0)).tolist() == [
        [4146024105, 967050713],
        [2718843009, 1272950319],
    ]
    assert mx.random.split(KEY, 5).shape == (5, 2)
    for bad in (-1, 2**64, 1.5, "x"):
        with pytest.raises(TypeError):
            mx.random.seed(bad)
    with pytest.raises(ValueError):
        mx.random.uniform(key=mx.array([1, 2, 3], mx.uint32))
    with pytest.raises(ValueError):
        mx.random.uniform(key=mx.array([1, 2]))


def test_seed_and_state():
    mx.random.seed(7)
    a = mx.random.uniform(shape=(4,)).tolist()
    key = mx.random.state[0].tolist()
    b = mx.random.uniform(shape=(4,)).tolist()
    mx.random.state[0] = mx.array(key, mx.uint32)
    assert mx.random.uniform(shape=(4,)).tolist() == b != a
    mx.random.seed(7)
    assert (
        mx.random.uniform(shape=(4,)).tolist() == a
        and len(mx.random.state) == 1
        and len(list(mx.random.state)) == 1
    )


def test_an_element_depends_on_key_and_place_only():
    long, short = mx.random.uniform(shape=(1000,), key=KEY), mx.random.uniform(shape=(10,), key=KEY)
    assert long[:10].tolist() == short.tolist()
    assert mx.random.uniform(shape=(10, 100), key=KEY).reshape(-1).tolist() == long.tolist()


@pytest.mark.parametrize(
    "draw, law",
    [
        (lambda t: mx.random.uniform(shape=(N,), dtype=t, key=KEY), scipy.stats.uniform()),
        (lambda t: mx.random.uniform(-2, 3, (N,), t, key=KEY), scipy.stats.uniform(-2, 5)),
        (lambda t: mx.random.normal((N,), t, key=KEY), scipy.stats.norm()),
        (lambda t: mx.random.normal((N,), t, 1.0, 2.0, key=KEY), scipy.stats.norm(1, 2)),
        (lambda t: mx.random.gumbel((N,), t, key=KEY), scipy.stats.gumbel_r()),
        (lambda t: mx.random.laplace((N,), t, 1.0, 0.5, key=KEY), scipy.stats.laplace(1, 0.5)),
        (
            lambda t: mx.random.truncated_normal(-1.0, 2.0, (N,), t, key=KEY),
            scipy.stats.truncnorm(-1, 2),
        ),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions(draw, law, dtype):
    x = draw(getattr(mx, dtype))
    assert x.dtype.name == dtype and scipy.stats.kstest(np.array(x), law.cdf).pvalue > 1e-4


INTERVALS = [(-2, 2), (0.5, 9), (0.99, 1.01), (1, 1.5), (3, 3.25), (5, 7), (5, np.inf), (11, 13)]
INTERVALS += [(12.5, 14), (29, np.inf), (300, 301), (-np.inf, np.inf), (-0.5, np.inf)]


@pytest.mark.parametrize("given", ["numbers", "arrays"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_truncated_normal_in_tails(dtype, given):
    t = getattr(mx, dtype)
    for low, high in INTERVALS + [(-high, -low) for low, high in INTERVALS]:
        law = scipy.stats.truncnorm(low, high)
        bounds = (low, high) if given == "numbers" else (mx.array(low, t), mx.array(high, t))
        x = np.array(mx.random.truncated_normal(*bounds, (N,), t, key=KEY), np.float64)
        assert x.min() >= low and x.max() <= high
        # Where float32 has a few numbers in the interval alone, as many of them as there are.
        rounding = np.spacing(abs(x).astype(dtype)).max() * law.pdf(x).max()
        assert scipy.stats.kstest(x, law.cdf).statistic < 2.2 / np.sqrt(N) + rounding, (low, high)


def test_bounds_of_truncated_normal_that_are_no_interval():
    def draw(low, high):
        return mx.random.truncated_normal(low, high, (3,), key=KEY).tolist()

    for bound in (0.0, 5.0, -5.0, np.inf, -np.inf):
        assert draw(bound, bound) == [bound] * 3
    assert draw(7.0, 5.0) == [7.0] * 3 and draw(-5.0, -7.0) == [-5.0] * 3
    assert np.isnan(draw(np.nan, 1.0)).all() and np.isnan(draw(0.0, np.nan)).all()
    batch = mx.random.truncated_normal(mx.array([-1.0, 4, -9]), mx.array([1.0, 5, -8]), key=KEY)
    assert (np.floor(np.array(batch)) == [np.floor(batch[0].item()), 4, -9]).all()


@pytest.mark.parametrize(
    "interval", [(-1.0, 2.0), (2.0, 3.0), (5.0, 7.5), (-8.0, -7.0), (40.0, 41.0)]
)
def test_derivatives_of_truncated_normal(interval):
    def total(low, high):
        x = mx.random.truncated_normal(low, high, (50,), mx.float64, key=KEY)
        return (x * mx.cos(x)).sum()

    low, high = (mx.array(v, mx.float64) for v in interval)
    slopes = mx.grad(total, argnums=(0, 1))(low, high)
    for k, e in ((0, 1e-5), (1, 1e-5)):
        moved = [[v + sign * e * (n == k) for n, v in enumerate((low, high))] for sign in (1, -1)]
        want = (total(*moved[0]) - total(*moved[1])) / (2 * e)
        assert slopes[k].item() == pytest.approx(want.item(), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_interval_is_half_open(dtype):
    t = getattr(mx, dtype)
    x = mx.random.uniform(shape=(N,), dtype=t, key=KEY)
    assert x.dtype == t and x.min().item() >= 0 and x.max().item() < 1
    assert mx.random.normal((N,), t, key=KEY).astype(mx.float32).std().item() == pytest.approx(
        1, abs=0.01
    )


def test_shapes_and_operands():
    low = mx.array([0.0, 10.0])
    x = mx.random.uniform(low, low + 1, (1000, 2), key=KEY)
    assert np.all(np.floor(np.array(x)) == [0, 10])
    with pytest.raises(ValueError):
        mx.random.uniform(low, 20.0)
    assert mx.random.normal(loc=mx.array([100.0, 0.0]), shape=(5, 2), key=KEY).shape == (5, 2)
    for f in (mx.random.uniform, lambda **k: mx.random.normal(**k)):
        with pytest.raises(ValueError):
            f(dtype=mx.int32)


def test_randint():
    x = np.array(mx.random.randint(-3, 4, (N,), key=KEY))
    assert x.dtype == np.int32 and set(np.unique(x)) == set(range(-3, 4))
    assert scipy.stats.chisquare(np.bincount(x + 3)).pvalue > 1e-4
    assert mx.random.randint(mx.array([0, 10]), mx.array([5, 20])).shape == (2,)
    assert mx.random.randint(0, 2**62, (3,), mx.int64, key=KEY).dtype == mx.int64
    with pytest.raises(ValueError):
        mx.random.randint(3, 3)
    with pytest.raises(ValueError):
        mx.random.randint(0, 3, dtype=mx.float32)


def test_bernoulli_and_categorical():
    p = mx.array([0.1, 0.5, 0.9])
    x = np.array(mx.random.bernoulli(p, (N, 3), key=KEY)).mean(0)
    np.testing.assert_allclose(x, [0.1, 0.5, 0.9], atol=0.01)
    assert mx.random.bernoulli(p).shape == (3,) and mx.random.bernoulli().dtype == mx.bool_
    logits = mx.log(mx.array([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]])) + 3
    draws = mx.random.categorical(logits, num_samples=N, key=KEY)
    assert draws.shape == (2, N) and draws.dtype == mx.uint32
    counts = np.stack([np.bincount(row, minlength=3) for row in np.array(draws)]) / N
    np.testing.assert_allclose(counts, [[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]], atol=0.01)
    assert mx.random.categorical(mx.zeros((4, 5))).shape == (4,) and mx.random.categorical(
        mx.zeros((4, 5)), 0
    ).shape == (5,)
    assert mx.random.categorical(mx.zeros((4, 5)), shape=(7, 4)).shape == (7, 4)
    with pytest.raises(ValueError):
        mx.random.categorical(mx.zeros((4, 5)), shape=(7,), num_samples=2)


@pytest.mark.parametrize("n", (0, 1, 2, 1024, 1025, 2049, 5000))
def test_permutation_swaps_from_the_end_by_the_words_of_its_key(n):
    words = np.array(mx.random.bits((2 * n,), key=KEY)).astype(object)
    want = list(range(n))
    for i in range(n - 1, 0, -1):
        other = (words[2 * i + 1] * 2**32 + words[2 * i]) * (i + 1) >> 64
        want[i], want[other] = want[other], want[i]
    assert mx.random.permutation(n, key=KEY).tolist() == want


def test_permutation():
    x = np.array(mx.random.permutation(1000, key=KEY))
    assert sorted(x) == list(range(1000)) and x.dtype == np.uint32 and list(x) != sorted(x)
    a = mx.arange(12).reshape(3, 4)
    rows = np.array(mx.random.permutation(a, key=KEY))
    assert sorted(rows.tolist()) == a.tolist()
    columns = np.array(mx.random.permutation(a, axis=1, key=KEY))
    assert sorted(columns.T.tolist()) == a.T.tolist()
    counts = np.zeros((4, 4))
    for k in mx.random.split(KEY, 2000):
        counts[np.arange(4), np.array(mx.random.permutation(4, key=k))] += 1
    assert abs(counts - 500).max() < 110


def test_gradients_of_draws():
    g = mx.grad(lambda s: mx.random.normal((100,), scale=s, key=KEY).sum())(mx.array(2.0))
    assert g.item() == pytest.approx(mx.random.normal((100,), key=KEY).sum().item(), rel=1e-5)


def test_bits():
    assert mx.random.bits((4,), 8, key=KEY).dtype == mx.uint64
    ones = np.unpackbits(np.array(mx.random.bits((10_000,), key=KEY)).view(np.uint8)).mean()
    assert ones == pytest.approx(0.5, abs=0.005)


def test_threads_that_trace_and_draw_do_not_disturb_each_other():
    import sys
    import threading
    import warnings

    f = mx.compile(lambda x, n: mx.tanh(x * n) + mx.random.uniform(shape=x.shape), cache_size=8)
    loss = lambda x: (x * mx.random.bernoulli(0.5, x.shape)).sum()
    errors = []

    def work(seed):
        rng = np.random.default_rng(seed)
        try:
            for _ in range(100):
                n, k = int(rng.integers(1, 12)), int(rng.integers(1, 6))
                assert f(mx.ones(n), k).shape == (n,)
                mx.eval(mx.grad(loss)(mx.ones(n)), mx.random.normal((3,)))
                mx.eval(
                    mx.scan(lambda c, _: (c + mx.random.uniform(), None), mx.array(0.0), length=3)[
                        0
                    ]
                )
        except Exception as error:
            errors.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
            [t.start() for t in threads]
            [t.join() for t in threads]
    finally:
        sys.setswitchinterval(before)
    assert not errors, errors[0]


def test_a_draw_leaves_no_graph_behind():
    mx.random.seed(0)
    names = [op for step in mx.plan(mx.random.uniform()).steps for op in step.ops]
    assert "random_split" not in names
    mx.random.seed(0)
    state = mx.random.state[0]
    mx.random.uniform()
    assert mx.random.state[0].tolist() == mx.random.split(state)[0].tolist()
