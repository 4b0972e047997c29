"""Libraries that know the array API standard alone run on our arrays: SciPy, which tests need
anyway, scikit-learn where `make demo` has installed it, and einops where it is installed. Each
program runs in a process of its own, since SciPy reads SCIPY_ARRAY_API when it is imported."""

import importlib.util
import os
import subprocess
import sys

import pytest

HEAD = """
import warnings
import numpy as np
import lazulite.core as mx
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
def ours(a, dtype=mx.float64):
    return mx.array(np.asarray(a), dtype)
def same(made, wanted, tolerance=1e-6):
    assert isinstance(made, mx.array), type(made)
    assert np.allclose(np.array(made), wanted, rtol=tolerance, atol=tolerance), (made, wanted)
"""

PROGRAMS = {
    "scipy.special": """
from scipy import special
x = rng.uniform(0.1, 5, (3, 7))
for name in ("expit", "log_ndtr", "ndtr", "erf", "erfc", "gammaln", "i0", "i1", "entr", "logit"):
    f = getattr(special, name)
    v = x / 6 if name == "logit" else x
    same(f(ours(v)), f(v))
same(special.xlogy(ours(x), ours(x)), special.xlogy(x, x))
same(special.logsumexp(ours(x), axis=1), special.logsumexp(x, axis=1))
same(special.softmax(ours(x), axis=0), special.softmax(x, axis=0))
""",
    "scipy.stats": """
from scipy import stats
x, y = rng.normal(size=(4, 30)), rng.normal(size=(4, 30))
for name in ("skew", "kurtosis", "sem"):
    f = getattr(stats, name)
    same(f(ours(x), axis=1), f(x, axis=1))
same(stats.zscore(ours(x), axis=1), stats.zscore(x, axis=1))
made, wanted = stats.pearsonr(ours(x), ours(y), axis=1), stats.pearsonr(x, y, axis=1)
same(made.statistic, wanted.statistic)
same(stats.moment(ours(x), 3, axis=1), stats.moment(x, 3, axis=1))
same(stats.gmean(ours(np.abs(x)), axis=1), stats.gmean(np.abs(x), axis=1))
same(stats.hmean(ours(np.abs(x)), axis=1), stats.hmean(np.abs(x), axis=1))
""",
    "scipy.cluster": """
from scipy.cluster import vq
x = rng.normal(size=(40, 3))
book = x[:4]
same(vq.whiten(ours(x)), vq.whiten(x))
codes, distances = vq.vq(ours(x), ours(book))
wanted = vq.vq(x, book)
same(codes, wanted[0])
same(distances, wanted[1])
""",
    "scipy.fft": """
from scipy import fft
x = rng.normal(size=(3, 16))
for name in ("fft", "ifft", "rfft", "fft2", "fftn", "rfftn"):
    f = getattr(fft, name)
    same(f(ours(x)), f(x))
same(fft.irfft(fft.rfft(ours(x))), x)
""",
    "scipy.signal": """
from scipy import signal
x = rng.normal(size=(3, 32))
same(signal.detrend(ours(x), axis=1), signal.detrend(x, axis=1), 1e-5)
same(signal.windows.hann(8, xp=mx), signal.windows.hann(8))
""",
    "sklearn": """
import sklearn
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import mean_squared_error, pairwise
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler
x, w = rng.normal(size=(60, 5)), rng.normal(size=5)
y = x @ w
with sklearn.config_context(array_api_dispatch=True):
    for scaler in (MinMaxScaler(), MaxAbsScaler(), StandardScaler()):
        made = scaler.fit_transform(ours(x))
        same(made, type(scaler)().fit_transform(x))
    pca = PCA(n_components=3, svd_solver="full")
    made = np.array(pca.fit_transform(ours(x)))
    wanted = PCA(n_components=3, svd_solver="full").fit_transform(x)
    assert np.allclose(np.abs(made), np.abs(wanted), atol=1e-6)
    ridge = Ridge(alpha=0.5, solver="svd").fit(ours(x), ours(y))
    same(ridge.coef_, Ridge(alpha=0.5, solver="svd").fit(x, y).coef_)
    same(ridge.predict(ours(x)), Ridge(alpha=0.5, solver="svd").fit(x, y).predict(x))
    for classes in (y > 0, np.digitize(y, [-1, 1])):
        told = LogisticRegression().fit(ours(x), ours(classes.astype(np.int32)))
        known = LogisticRegression().fit(x, classes.astype(np.int32))
        same(told.coef_, known.coef_, 1e-3)
        same(told.predict(ours(x)), known.predict(x))
        same(told.predict_proba(ours(x)), known.predict_proba(x), 1e-3)
    assert abs(float(mean_squared_error(ours(y), ours(y + 1))) - 1) < 1e-9
    same(pairwise.cosine_similarity(ours(x)), pairwise.cosine_similarity(x))
    same(pairwise.euclidean_distances(ours(x)), pairwise.euclidean_distances(x))
""",
    "einops": """
from einops.array_api import pack, rearrange, reduce, repeat, unpack
x = rng.normal(size=(2, 4, 6))
same(rearrange(ours(x), "b (h k) c -> b h c k", k=2), x.reshape(2, 2, 2, 6).transpose(0, 1, 3, 2))
for name in ("mean", "sum", "max", "min", "prod"):
    same(reduce(ours(x), "b h c -> b c", name), getattr(x, name)(1))
same(repeat(ours(x), "b h c -> b (h k) c", k=3), x.repeat(3, 1))
packed, shapes = pack([ours(x), ours(x[:, 0])], "b * c")
assert packed.shape == (2, 5, 6)
same(unpack(packed, shapes, "b * c")[1], x[:, 0])
""",
}


def run(name):
    """What the program says where it fails; empty where it does not."""
    done = subprocess.run(
        [sys.executable, "-c", HEAD + PROGRAMS[name]],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    return done.stderr[-3000:] if done.returncode else ""


PRESENT = [name for name in PROGRAMS if importlib.util.find_spec(name.split(".")[0])]


@pytest.mark.parametrize("name", PRESENT)
def test_a_library_that_knows_the_standard_runs_on_our_arrays(name):
    assert not run(name)
