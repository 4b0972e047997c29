"""Fourier transforms: one long line, squares, many rows, columns, real lines, large primes."""

import numpy as np

from cases import Work, case

MILLION = 1_000_000


def transform(label, name, *shape, real=False, tolerance=2e-4, **arguments):
    """A case of one function. Errors are counted beside the largest number."""

    @case("fft", label, tolerance=tolerance)
    def make(api):
        if api.name == "numexpr":
            return None
        a = api.data("float32" if real else "complex64", *shape)
        given = arguments
        if api.name == "torch":
            given = {"dim" if k == "axis" else k: v for k, v in arguments.items()}
        run = api.run(lambda x: getattr(api.lib.fft, name)(x, **given), a)

        def outputs():
            y = api.to_numpy(run())
            return [np.stack([y.real, y.imag]) / np.abs(y).max()]

        return Work(run, [a], outputs=outputs)


transform("fft of 1e6 complex", "fft", MILLION)
transform("fft of 2^20 complex", "fft", 1 << 20)
transform("fft2 of 1024x1024 complex", "fft2", 1024, 1024)
transform("rfft of 1,000 rows of 1,024", "rfft", 1000, 1024, real=True)
transform("rfft of 3,000 rows of 400", "rfft", 3000, 400, real=True)
transform("irfft of 1,000 rows of 513", "irfft", 1000, 513)
transform("rfft of 1e6", "rfft", MILLION, real=True)
transform("fft of 1,024 columns of 1,024", "fft", 1024, 1024, axis=0)
transform("fft of 100,000 rows of 8", "fft", 100_000, 8)
transform("fft of 10,007 complex", "fft", 10_007)
transform("fft of 1,024 complex", "fft", 1024)
