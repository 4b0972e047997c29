"""mx.fast.metal_kernel: Metal's language on the CPU, beside NumPy."""

import numpy as np
import pytest

import lazulite.core as mx


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(shelf, monkeypatch):
    """Not the folder of whoever runs the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(shelf))


def run(source, inputs, shape, dtype=mx.float32, grid=None, group=256, header="", **more):
    """A kernel of inputs a, b, c ... and of one output, a thread for each of its elements."""
    making = {k: more.pop(k) for k in ("atomic_outputs", "ensure_row_contiguous") if k in more}
    kernel = mx.fast.metal_kernel(
        "tested", list("abcdef"[: len(inputs)]), ["out"], source, header, **making
    )
    return kernel(
        inputs=inputs,
        grid=grid or (int(np.prod(shape)), 1, 1),
        threadgroup=group if isinstance(group, tuple) else (group, 1, 1),
        output_shapes=[shape],
        output_dtypes=[dtype],
        **more,
    )[0]


def test_the_first_example_of_the_reference():
    source = """
        uint elem = thread_position_in_grid.x;
        T tmp = inp[elem];
        out[elem] = metal::exp(tmp);
    """
    kernel = mx.fast.metal_kernel(
        name="myexp", input_names=["inp"], output_names=["out"], source=source
    )
    for dtype, inside in ((mx.float16, mx.float32), (mx.float32, mx.float32), (mx.bfloat16,) * 2):
        a = mx.random.normal(shape=(4, 16)).astype(dtype)
        (b,) = kernel(
            inputs=[a], template=[("T", inside)], grid=(a.size, 1, 1), threadgroup=(256, 1, 1),
            output_shapes=[a.shape], output_dtypes=[a.dtype],
        )  # fmt: skip
        assert b.dtype == dtype and mx.allclose(b, mx.exp(a), rtol=1e-2)
    assert not mx.metal.is_available()


def test_strided_inputs_through_elem_to_loc():
    source = """
        uint elem = thread_position_in_grid.x;
        uint loc = elem_to_loc(elem, a_shape, a_strides, a_ndim);
        out[elem] = a[loc] + 1;
    """
    a = mx.arange(48.0).reshape(6, 8)[::2].T
    mx.eval(a)
    assert mx.array_equal(run(source, [a], a.shape, ensure_row_contiguous=False), a + 1)
    assert mx.array_equal(run(source, [a], a.shape), a + 1)


GRID_SAMPLE = """
    uint elem = thread_position_in_grid.x;
    int H = x_shape[1];
    int W = x_shape[2];
    int C = x_shape[3];
    int gH = grid_shape[1];
    int gW = grid_shape[2];

    uint at = elem / C * 2;
    float ix = ((grid[at] + 1) * W - 1) / 2;
    float iy = ((grid[at + 1] + 1) * H - 1) / 2;
    int x0 = floor(ix);
    int y0 = floor(iy);
    int base = elem / C / gH / gW * (H * W * C) + elem % C;

    T sum = 0;
    for (int k = 0; k < 4; ++k) {
        int xx = x0 + k % 2, yy = y0 + k / 2;
        T weight = (1 - abs(ix - xx)) * (1 - abs(iy - yy));
        T value = x[base + clamp(yy, 0, H - 1) * W * C + clamp(xx, 0, W - 1) * C];
        value = xx >= 0 && xx < W && yy >= 0 && yy < H ? value : 0;
        sum += weight * value;
    }
    out[elem] = sum;
"""


def grid_sample(x, grid):
    x, grid = np.array(x, np.float64), np.array(grid, np.float64)
    b, h, w, c = x.shape
    out = np.zeros(grid.shape[:3] + (c,))
    for n, i, j in np.ndindex(*grid.shape[:3]):
        ix = ((grid[n, i, j, 0] + 1) * w - 1) / 2
        iy = ((grid[n, i, j, 1] + 1) * h - 1) / 2
        for yy in (int(np.floor(iy)), int(np.floor(iy)) + 1):
            for xx in (int(np.floor(ix)), int(np.floor(ix)) + 1):
                if 0 <= xx < w and 0 <= yy < h:
                    out[n, i, j] += (1 - abs(ix - xx)) * (1 - abs(iy - yy)) * x[n, yy, xx]
    return out


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
def test_sampling_an_image_on_a_grid(dtype):
    x = mx.random.normal((2, 5, 6, 3)).astype(dtype)
    grid = mx.random.uniform(-1.2, 1.2, (2, 4, 4, 2)).astype(dtype)
    kernel = mx.fast.metal_kernel("grid_sample", ["x", "grid"], ["out"], GRID_SAMPLE)
    shape = (2, 4, 4, 3)
    (out,) = kernel(
        inputs=[x, grid], template=[("T", dtype)], output_shapes=[shape], output_dtypes=[dtype],
        grid=(np.prod(shape), 1, 1), threadgroup=(256, 1, 1),
    )  # fmt: skip
    tolerance = 1e-5 if dtype == mx.float32 else 0.1
    expected = grid_sample(x.astype(mx.float32), grid.astype(mx.float32))
    np.testing.assert_allclose(np.array(out.astype(mx.float32)), expected, atol=tolerance)


def test_gradients_by_atomics_and_sums_of_simdgroups():
    """A sum over rows and columns at once: what several threadgroups add to one place."""
    source = """
        uint elem = thread_position_in_grid.x;
        int n = a_shape[1];
        int row = elem / 64, column = elem % 64;
        float v = column < n ? a[row * n + column] : 0;
        if (column < n)
            atomic_fetch_add_explicit(&columns[column], v, memory_order_relaxed);
        v = simd_sum(v);
        if (thread_index_in_simdgroup == 0)
            atomic_fetch_add_explicit(&rows[row], v, memory_order_relaxed);
    """
    kernel = mx.fast.metal_kernel(
        "margins", ["a"], ["rows", "columns"], source, atomic_outputs=True
    )
    a = mx.random.randint(-9, 9, (37, 50)).astype(mx.float32)
    rows, columns = kernel(
        inputs=[a], grid=(37 * 64, 1, 1), threadgroup=(256, 1, 1), init_value=0,
        output_shapes=[(37,), (50,)], output_dtypes=[mx.float32, mx.float32],
    )  # fmt: skip
    assert mx.array_equal(rows, a.sum(axis=1)) and mx.array_equal(columns, a.sum(axis=0))


def test_softmax_with_threadgroup_memory_and_barriers():
    source = """
        threadgroup float shared[32];
        uint row = threadgroup_position_in_grid.x;
        uint lane = thread_index_in_simdgroup, group = simdgroup_index_in_threadgroup;
        device const float* line = a + row * N;
        float best = -INFINITY;
        for (uint i = thread_position_in_threadgroup.x; i < N; i += threads_per_threadgroup.x)
            best = max(best, line[i]);
        best = simd_max(best);
        if (lane == 0) shared[group] = best;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        best = simd_max(lane < simdgroups_per_threadgroup ? shared[lane] : -INFINITY);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        float sum = 0;
        for (uint i = thread_position_in_threadgroup.x; i < N; i += threads_per_threadgroup.x)
            sum += fast::exp(line[i] - best);
        sum = simd_sum(sum);
        if (lane == 0) shared[group] = sum;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        sum = simd_sum(lane < simdgroups_per_threadgroup ? shared[lane] : 0.0);
        for (uint i = thread_position_in_threadgroup.x; i < N; i += threads_per_threadgroup.x)
            out[row * N + i] = exp(line[i] - best) / sum;
    """
    a = mx.random.normal((17, 1000))
    out = run(source, [a], a.shape, grid=(17 * 256, 1, 1), template=[("N", 1000)])
    assert mx.allclose(out, mx.softmax(a, axis=-1), atol=1e-6)


def test_a_product_of_matrices_in_tiles():
    header = """
        #include <metal_stdlib>
        using namespace metal;
        constant constexpr int TILE = 8;
        METAL_FUNC float product(threadgroup float (&l)[TILE][TILE], const threadgroup float* r,
                                 uint2 at) {
            float sum = 0.0;
            for (int k = 0; k < TILE; ++k) sum = fma(l[at.y][k], r[k * TILE + at.x], sum);
            return sum;
        }
    """
    source = """
        threadgroup float left[TILE][TILE];
        threadgroup float right[TILE * TILE];
        uint2 at = thread_position_in_threadgroup.xy, place = thread_position_in_grid.xy;
        int k = a_shape[1], n = b_shape[1];
        float sum = 0;
        for (int begin = 0; begin < k; begin += TILE) {
            left[at.y][at.x] = a[place.y * k + begin + at.x];
            right[at.y * TILE + at.x] = b[(begin + at.y) * n + place.x];
            threadgroup_barrier(mem_flags::mem_threadgroup);
            sum += product(left, right, at);
            threadgroup_barrier(mem_flags::mem_threadgroup);
        }
        out[place.y * n + place.x] = sum;
    """
    a, b = mx.random.normal((32, 40)), mx.random.normal((40, 24))
    out = run(source, [a, b], (32, 24), grid=(24, 32, 1), group=(8, 8, 1), header=header)
    assert mx.allclose(out, a @ b, atol=1e-4)


LANES = np.arange(32)


CALLS = dict(
    [
        ("simd_sum(v)", np.full(32, LANES.sum())),
        ("simd_product(lane < 5 ? v + 1 : 1)", np.full(32, 120)),
        ("simd_max(v)", np.full(32, 31)),
        ("simd_min(v + 3)", np.full(32, 3)),
        ("simd_or(1 << (v % 5))", np.full(32, 31)),
        ("simd_and(v | 6)", np.full(32, 6)),
        ("simd_xor(v)", np.full(32, 0)),
        ("simd_all(v < 32) + 2 * simd_any(v == 40)", np.full(32, 1)),
        ("simd_broadcast(v, 7)", np.full(32, 7)),
        ("simd_broadcast_first(v + 2)", np.full(32, 2)),
        ("simd_shuffle(v, 31 - lane)", 31 - LANES),
        ("simd_shuffle_down(v, 3)", np.where(LANES < 29, LANES + 3, LANES)),
        ("simd_shuffle_up(v, 3)", np.where(LANES > 2, LANES - 3, LANES)),
        ("simd_shuffle_xor(v, 5)", LANES ^ 5),
        ("simd_shuffle_rotate_down(v, 1)", (LANES + 1) % 32),
        ("simd_shuffle_rotate_up(v, 1)", (LANES - 1) % 32),
        ("simd_prefix_inclusive_sum(v)", LANES.cumsum()),
        ("simd_prefix_exclusive_sum(v)", LANES.cumsum() - LANES),
        ("quad_sum(v)", LANES // 4 * 16 + 6),
        ("quad_broadcast(v, 2)", LANES // 4 * 4 + 2),
        ("quad_shuffle_xor(v, 1)", LANES ^ 1),
        ("int(ulong(simd_ballot(v % 3 == 0)) & 0xff)", np.full(32, 0b01001001)),
        ("simd_is_first() ? 1 : 0", LANES == 0),
        ("simd_sum(float2(v, 1)).y", np.full(32, 32)),
        ("lane < 16 ? simd_sum(v) : simd_max(v)", np.where(LANES < 16, 120, 31)),
    ]
)


def test_functions_of_a_simdgroup():
    """One kernel for all: each is a row of the result."""
    lines = "\n".join(f"out[at++ * 128] = base * 1000 + ({call});" for call in CALLS)
    source = f"""
        uint lane = thread_index_in_simdgroup, at = 0;
        int v = lane;
        int base = simdgroup_index_in_threadgroup * threads_per_simdgroup;
        out += thread_position_in_grid.x;
        {lines}
    """
    out = np.array(run(source, [], (len(CALLS), 128), mx.int32, grid=(128, 1, 1), group=64))
    for row, (call, expected) in zip(out, CALLS.items()):
        expected = np.concatenate([expected + k % 2 * 32000 for k in range(4)]).astype(int)
        np.testing.assert_array_equal(row, expected, call)


def test_threads_of_a_branch_work_together_among_themselves():
    source = """
        int v = thread_index_in_simdgroup;
        if (v % 2) {
            for (int k = 0; k < v; ++k) v += 0;
            v = simd_sum(v);
        }
        out[thread_position_in_grid.x] = v;
        if (thread_index_in_simdgroup > 20) return;
        threadgroup_barrier(mem_flags::mem_device);
        out[thread_position_in_grid.x] += simd_sum(1);
    """
    out = np.array(run(source, [], (32,), mx.int32))
    expected = np.where(LANES % 2, 256, LANES) + np.where(LANES > 20, 0, 21)
    np.testing.assert_array_equal(out, expected)


def test_threads_at_different_barriers_are_an_error():
    source = """
        if (thread_position_in_grid.x % 2)
            threadgroup_barrier(mem_flags::mem_none);
        else
            threadgroup_barrier(mem_flags::mem_none);
    """
    with pytest.raises(RuntimeError, match=r"\[tested\] .*different barriers: lines 5 and 3"):
        mx.eval(run(source, [], (8,)))


UNARY = {
    name: getattr(np, name)
    for name in "ceil cos cosh exp exp2 floor log2 log10 rint sin sinh tan tanh trunc".split()
}
UNARY.update(
    {
        "abs": np.abs, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "log": np.log,
        "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "exp10": lambda x: 10**x,
        "fract": lambda x: x - np.floor(x), "sign": np.sign, "saturate": lambda x: x,
        "precise::tanh": np.tanh, "metal::precise::sqrt": np.sqrt,
    }
)  # fmt: skip


def test_functions_of_one_number_and_of_vectors():
    a = mx.random.uniform(0.05, 0.95, (8,))
    source = "".join(
        """{
            uint i = thread_position_in_grid.x;
            const device float4* v = (const device float4*)a;
            if (i < 2) ((device float4*)out)[i] = NAME(v[i]);
            else out[i + 6] = NAME(a[i]);
            half h = a[i]; bfloat b = bfloat(a[i]);
            out[16 + i] = NAME(h); out[24 + i] = float(NAME(b));
            out += 32;
        }""".replace("NAME", name)
        for name in UNARY
    )
    got = np.array(run(source, [a], (len(UNARY), 32), grid=(8, 1, 1), init_value=0))
    for (name, function), out in zip(UNARY.items(), got):
        expected = function(np.array(a))
        np.testing.assert_allclose(out[:8], expected, 1e-5, err_msg=name)
        np.testing.assert_allclose(out[8:14], expected[2:], 1e-5, err_msg=name)
        np.testing.assert_allclose(out[16:24], expected, 0.02, 0.01, err_msg=name)
        np.testing.assert_allclose(out[24:], expected, 0.1, 0.05, err_msg=name)


EXPRESSIONS = dict(
    [
        ("dot(float3(1, 2, 3), float3(4, 5, 6))", 32),
        ("length(float2(3, 4))", 5),
        ("cross(float3(1, 0, 0), float3(0, 1, 0)).z", 1),
        ("normalize(float4(0, 2, 0, 0)).y", 1),
        ("float4(float2(1, 2), 3, 4).wzyx.x", 4),
        ("float3(1, 2, 3).rgb.b", 3),
        ("(float2(1, 2) * 3 + float2(1)).y", 7),
        ("(int3(7, 8, 9) % 4).y", 0),
        ("any(int2(1, 2) > 1) + all(int2(1, 2) > 1)", 1),
        ("select(1, 2, true) + select(float2(1, 2), float2(3, 4), bool2(false, true)).y", 6),
        ("clamp(5.0, 1.0, 2.0) + clamp(-1, 0, 3)", 2),
        ("mix(1.0, 3.0, 0.25)", 1.5),
        ("step(0.5, 0.7) + smoothstep(0.0, 1.0, 0.5)", 1.5),
        ("max(1, 2) + min(3.5, 2.5) + max3(1, 5, 2)", 9.5),
        ("popcount(255u) + clz(1) + ctz(8) + reverse_bits(1u) / 2147483648u", 8 + 31 + 3 + 1),
        ("extract_bits(0xabcdu, 4, 8) + insert_bits(0u, 3u, 1, 2)", 0xBC + 6),
        ("as_type<uint>(1.0f) == 0x3f800000", 1),
        ("float(as_type<half>(ushort(0x3c00)))", 1),
        ("1.0h + half(2)", 3),
        ("float(1.5bf)", 1.5),
        ("sizeof(1.0) + sizeof(float3) + sizeof(packed_float3) + sizeof(half4)", 4 + 16 + 12 + 8),
        ("fmod(7.5, 2.0) + pow(2.0, 3.0) + copysign(1.0, -2.0)", 8.5),
        ("isnan(NAN) + isinf(INFINITY) + isfinite(1.0)", 3),
        ("numeric_limits<half>::max() + numeric_limits<float>::infinity() * 0 == 0", 0),
        ("Limits<float>::finite_max > 1e38", 1),
        ("(float2x2(float2(1, 2), float2(3, 4)) * float2(1, 10)).x", 31),
        ("ceildiv(10, 4)", 3),
        ("mulhi(0x80000000u, 4u) + rotate(0x80000001u, 1)", 5),
        ("true ? half(2) : half(0)", 2),
    ]
)


def test_expressions_in_metals_words():
    source = "\n".join(f"out[{k}] = {text};" for k, text in enumerate(EXPRESSIONS))
    out = run(source, [], (len(EXPRESSIONS),), grid=(1, 1, 1)).tolist()
    assert dict(zip(EXPRESSIONS, out)) == EXPRESSIONS


def test_swizzles_are_written_to():
    source = """
        float4 v = float4(1, 2, 3, 4);
        v.zx = float2(10, 20);
        v.yw *= 2;
        for (int i = 0; i < 4; ++i) out[i] = v[i];
    """
    assert run(source, [], (4,), grid=(1, 1, 1)).tolist() == [20, 4, 10, 8]


def test_atomics_count_right_on_all_threads():
    source = """
        uint i = thread_position_in_grid.x;
        atomic_fetch_add_explicit(&out[0], 1, memory_order_relaxed);
        atomic_fetch_max_explicit(&out[1], int(i), memory_order_relaxed);
        atomic_fetch_or_explicit(&out[2], 1 << (i % 8), memory_order_relaxed);
        int expected = 0;
        atomic_compare_exchange_weak_explicit(
            &out[3], &expected, 7, memory_order_relaxed, memory_order_relaxed);
        threadgroup atomic_int here;
        if (thread_index_in_threadgroup == 0) atomic_store_explicit(&here, 0, memory_order_relaxed);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        atomic_fetch_add_explicit(&here, 1, memory_order_relaxed);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (thread_index_in_threadgroup == 0)
            atomic_fetch_add_explicit(
                &out[4], atomic_load_explicit(&here, memory_order_relaxed), memory_order_relaxed);
    """
    out = run(
        source, [], (5,), mx.int32, grid=(5000, 1, 1), group=100, atomic_outputs=True, init_value=0
    )
    assert out.tolist() == [5000, 4999, 255, 7, 5000]


def test_numbers_arrive_as_references_and_templates_as_constants():
    source = """
        uint i = thread_position_in_grid.x;
        if (B) out[i] = T(a) * N + b[i];
    """
    template = [("T", mx.float32), ("N", -3), ("B", True)]
    out = run(source, [mx.array(2.0), mx.arange(3.0)], (3,), template=template)
    assert out.tolist() == [-6, -5, -4]
    assert run("out[0] = a;", [2.5], (1,)).item() == 2.5


@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_bits_on_any_number_of_threads(threads):
    source = """
        threadgroup float shared[64];
        uint i = thread_index_in_threadgroup;
        shared[i] = a[thread_position_in_grid.x];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        out[thread_position_in_grid.x] = simd_sum(sin(shared[63 - i]));
    """
    a = mx.arange(64 * 300) / 100
    before = mx.num_threads()
    try:
        mx.set_num_threads(threads)
        out = np.array(run(source, [a], a.shape, group=64))
    finally:
        mx.set_num_threads(before)
    other = np.array(run(source, [a], a.shape, group=64))
    np.testing.assert_array_equal(out, other)
    expected = np.sin(np.array(a)).reshape(-1, 2, 32).sum(-1)[:, ::-1]
    np.testing.assert_allclose(out.reshape(-1, 2, 32)[:, :, 0], expected, atol=1e-4)


def test_inside_compile_vmap_and_custom_function():
    source = "uint i = thread_position_in_grid.x; out[i] = simd_sum(a[i]) * a[i];"
    x = mx.random.normal((3, 32))

    def f(a):
        return run(source, [a], a.shape)

    expected = x * x.sum(axis=1, keepdims=True)
    assert mx.allclose(mx.vmap(f)(x), expected, atol=1e-5)
    assert mx.allclose(mx.compile(lambda a: f(a) + 1)(x[0]), expected[0] + 1, atol=1e-5)
    g = mx.custom_function(f)
    g.vjp(lambda primals, cotangent, output: cotangent * 2)
    assert mx.grad(lambda a: g(a).sum())(x[0]).tolist() == [2] * 32


@pytest.mark.parametrize(
    "word", ["texture2d<float> t;", "simdgroup_float8x8 m;", "constexpr sampler s;"]
)
def test_what_has_no_form_on_the_cpu_says_so(word):
    kernel = mx.fast.metal_kernel("drawn", ["a"], ["out"], word)  # programs make theirs at import
    with pytest.raises(RuntimeError, match=r"^\[metal_kernel\] drawn: \w+ has no form on the CPU"):
        kernel(
            inputs=[mx.ones(1)], grid=(1, 1, 1), threadgroup=(1, 1, 1), output_shapes=[(1,)],
            output_dtypes=[mx.float32],
        )  # fmt: skip


def test_wrong_sources_and_groups_are_refused():
    with pytest.raises(RuntimeError, match=r"^\[metal_kernel\] tested does not compile: .* says"):
        run("out[0] = no_such_word;", [], (1,))
    with pytest.raises(ValueError, match=r"^\[tested\] threadgroup: got .*expected 1024 threads"):
        run("out[0] = 1;", [], (1,), group=(2000, 1, 1))
    with pytest.raises(TypeError, match=r"^\[metal_kernel\] source: got int, expected text"):
        mx.fast.metal_kernel("f", ["a"], ["b"], 1234)


WHOLE = """
#include <metal_stdlib>
using namespace metal;

// kernel void no(device float* x [[buffer(0)]]) {}
inline float twice(float x) { return 2 * x; }

kernel void scaled(device const float* left [[buffer(0)]],
                   constant float& by [[buffer(2)]],  /* out of order, (with) brackets */
                   device const float* right [[buffer(1)]],
                   device float* sums [[buffer(3)]],
                   uint2 place [[thread_position_in_grid]],
                   uint2 size [[threads_per_grid]],
                   uint lane [[thread_index_in_threadgroup]]) {
    if (place.x >= size.x) return;
    uint id = place.y * size.x + place.x;
    sums[id] = twice(left[id]) + by * right[id] + 0 * lane;
}
"""


def test_a_whole_kernel_has_its_operands_as_buffers():
    x, y = mx.arange(6.0).reshape(2, 3), mx.ones((2, 3))
    kernel = mx.fast.metal_kernel("scaled", ["x", "y", "by"], ["out"], WHOLE)
    (out,) = kernel(
        inputs=[x, y, mx.array(3.0)],
        grid=(3, 2, 1),
        threadgroup=(2, 2, 1),
        output_shapes=[(2, 3)],
        output_dtypes=[mx.float32],
    )
    assert np.array_equal(np.array(out), 2 * np.array(x) + 3)


def test_buffers_of_a_whole_kernel_follow_their_order_and_may_have_each_others_names():
    source = """
        kernel void f(const device int* out, device int* a, uint i [[thread_position_in_grid]]) {
            a[i] = out[i] + 1;
        }
    """
    assert run(source, [mx.arange(4)], (4,), mx.int32).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "source, message",
    [
        ("kernel void f(device float* a [[buffer(0)]]) { a[0] = 1; }", r"got buffers \[0\]"),
        ("kernel void f(device float* a) {} kernel void g(device float* a) {}", "several"),
        ("template <typename T> kernel void f(device T* a, device T* b) {}", "a template"),
        ("kernel void f(device float* a, device float* b) {", "without an end"),
        ("kernel void f(device float* a, float b) {}", "a parameter 'float b'"),
        (
            "kernel void f(device float* a, device float* b, threadgroup float* s "
            "[[threadgroup(0)]]) {}",
            "threadgroup memory",
        ),
    ],
)
def test_what_a_whole_kernel_cannot_be_is_told(source, message):
    with pytest.raises(ValueError, match=rf"^\[metal_kernel\] f: got .*{message}|{message}"):
        mx.fast.metal_kernel("f", ["a"], ["out"], source)
