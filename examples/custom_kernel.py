"""A kernel of one's own, from source text: C++, and the same in Metal's language.

    python examples/custom_kernel.py

Both need a C++ compiler when they are first called. Prints what each gives and how long it takes
beside the same formula in functions.
"""

import argparse
import time

import lazulite.core as mx

# One thread of the grid for each element.
GELU = """
    auto i = thread_position_in_grid.x;
    float v = x[i];
    out[i] = T(0.5f * v * (1 + std::tanh(0.7978845608f * (v + 0.044715f * v * v * v))));
"""
gelu_kernel = mx.fast.cpu_kernel(
    name="gelu", input_names=["x"], output_names=["out"], source=GELU, header="#include <cmath>"
)

# The same, then sums of threadgroups, with memory that a threadgroup shares.
METAL_GELU = """
    uint i = thread_position_in_grid.x;
    float v = x[i];
    out[i] = T(0.5f * v * (1 + metal::tanh(0.7978845608f * (v + 0.044715f * v * v * v))));
"""
METAL_SUM = """
    threadgroup float shared[64];
    uint lane = thread_position_in_threadgroup.x;
    shared[lane] = inp[thread_position_in_grid.x];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint half = 32; half > 0; half /= 2) {
        if (lane < half) {
            shared[lane] += shared[lane + half];
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if (lane == 0) {
        out[threadgroup_position_in_grid.x] = shared[0];
    }
"""
metal_gelu_kernel = mx.fast.metal_kernel(
    name="gelu", input_names=["x"], output_names=["out"], source=METAL_GELU
)
metal_sum_kernel = mx.fast.metal_kernel(
    name="sums", input_names=["inp"], output_names=["out"], source=METAL_SUM
)


def gelu(kernel, x):
    return kernel(
        inputs=[x],
        template=[("T", x.dtype)],
        grid=(x.size, 1, 1),
        threadgroup=(256, 1, 1),
        output_shapes=[x.shape],
        output_dtypes=[x.dtype],
    )[0]


def sums(x):
    """Of 64 neighbours."""
    return metal_sum_kernel(
        inputs=[x],
        grid=(x.size, 1, 1),
        threadgroup=(64, 1, 1),
        output_shapes=[(x.size // 64,)],
        output_dtypes=[mx.float32],
    )[0]


def formula(x):
    return 0.5 * x * (1 + mx.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def milliseconds(f, x, rounds=5):
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        mx.eval(f(x))
        times.append(1e3 * (time.perf_counter() - begin))
    return min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1 << 20)
    args = parser.parse_args()
    mx.random.seed(0)
    x = mx.random.normal((args.size // 64 * 64,))
    wanted = formula(x)
    ways = {
        "functions": mx.compile(formula),
        "C++": lambda x: gelu(gelu_kernel, x),
        "Metal's language": lambda x: gelu(metal_gelu_kernel, x),
    }
    for name, f in ways.items():
        assert mx.allclose(f(x), wanted, rtol=1e-4, atol=1e-5), name
        print(f"gelu by {name}: {milliseconds(f, x):.2f} ms")
    assert mx.allclose(sums(x), x.reshape(-1, 64).sum(1), rtol=1e-4, atol=1e-4)
    print(f"sums of 64 by threadgroups: {milliseconds(sums, x):.2f} ms")
    half = x[:64].astype(mx.float16)
    assert gelu(gelu_kernel, half).dtype == mx.float16
    print("the same source in float16:", gelu(gelu_kernel, half)[:3])


if __name__ == "__main__":
    main()
