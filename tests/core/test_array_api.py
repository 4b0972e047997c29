"""The namespace is that of the Python array API standard, 2025.12: names, parameters, dtypes,
special values. What differs stands in DEVIATIONS, with the reason."""

import inspect
import itertools
import operator

import numpy as np
import pytest

import lazulite.core as mx

# ---- names and parameters, as the standard lists them: before / positional, behind * by name alone
FUNCTIONS = {
    "obj / * dtype device copy": "asarray",
    "start / stop step * dtype device": "arange",
    "shape * dtype device": "empty ones zeros",
    "x / * dtype device": "empty_like ones_like zeros_like",
    "n_rows n_cols / * k dtype device": "eye",
    "x / * device copy": "from_dlpack",
    "shape fill_value * dtype device": "full",
    "x / fill_value * dtype device": "full_like",
    "start stop / num * dtype device endpoint": "linspace",
    "*arrays * indexing": "meshgrid",
    "x / * k": "tril triu",
    "x dtype / * copy device": "astype",
    "*arrays": "broadcast_arrays",
    "*shapes": "broadcast_shapes",
    "x / shape": "broadcast_to",
    "from_ to /": "can_cast",
    "type /": "finfo iinfo",
    "dtype kind": "isdtype",
    "*arrays_and_dtypes": "result_type",
    "x /": "abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor "
    "imag isfinite isinf isnan log log1p log2 log10 logical_not negative positive real reciprocal "
    "round sign sin sinh square sqrt tan tanh trunc matrix_transpose nonzero unique_all "
    "unique_counts unique_inverse unique_values linalg.det linalg.eigh linalg.eigvalsh linalg.inv "
    "linalg.matrix_transpose linalg.slogdet linalg.svdvals",
    "x1 x2 /": "add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift "
    "bitwise_xor divide equal floor_divide greater greater_equal less less_equal logaddexp "
    "logical_and logical_or logical_xor maximum minimum multiply not_equal pow remainder subtract "
    "matmul linalg.matmul linalg.outer linalg.solve",
    "x / min max": "clip",
    "x indices / * axis": "take take_along_axis",
    "x1 x2 / * axes": "tensordot linalg.tensordot",
    "x1 x2 / * axis": "vecdot linalg.cross linalg.vecdot",
    "arrays / * axis": "concat stack",
    "x / axis": "expand_dims squeeze",
    "x / * axis": "flip unstack",
    "x source destination /": "moveaxis",
    "x / axes": "permute_dims",
    "x repeats / * axis": "repeat",
    "x / shape * copy": "reshape",
    "x / shift * axis": "roll",
    "x repetitions /": "tile",
    "x / * axis keepdims": "argmax argmin count_nonzero max mean min all any",
    "x1 x2 / * side sorter": "searchsorted",
    "condition x1 x2 /": "where",
    "x1 x2 / * invert": "isin",
    "x / * axis descending stable": "argsort sort",
    "x / * axis dtype include_initial": "cumulative_sum cumulative_prod",
    "x / * axis dtype keepdims": "prod sum",
    "x / * axis correction keepdims": "std var",
    "x / * axis n prepend append": "diff",
    "x / * upper": "linalg.cholesky",
    "x / * offset": "linalg.diagonal",
    "x / * keepdims ord": "linalg.matrix_norm",
    "x n /": "linalg.matrix_power",
    "x / * rtol": "linalg.matrix_rank linalg.pinv",
    "x / * mode": "linalg.qr",
    "x / * full_matrices": "linalg.svd",
    "x / * offset dtype": "linalg.trace",
    "x / * axis keepdims ord": "linalg.vector_norm",
    "x / * n axis norm": "fft.fft fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft",
    "x / * s axes norm": "fft.fftn fft.ifftn fft.rfftn fft.irfftn",
    "n / * d dtype device": "fft.fftfreq fft.rfftfreq",
    "x / * axes": "fft.fftshift fft.ifftshift",
}
DEVIATIONS = {
    "clip": "a_min and a_max stand where the reference has them; min and max are given by name",
    "full": "vals stands where the reference has it; fill_value is given by name",
    "full_like": "as full",
    "argmax": "indices are uint32, as in the reference",
    "argmin": "as argmax",
    "argsort": "as argmax",
    "searchsorted": "as argmax",
    "broadcast_arrays": "a list, as in the reference, where the standard has a tuple since 2025.12",
    "linalg.cross": "vectors of two numbers are taken too, as in the reference",
}
SIGNATURES = sorted((name, text) for text, names in FUNCTIONS.items() for name in names.split())


def named(name):
    owner = mx
    for part in name.split("."):
        owner = getattr(owner, part)
    return owner


@pytest.mark.parametrize("name, text", SIGNATURES, ids=[n for n, _ in SIGNATURES])
def test_parameters_are_those_of_the_standard(name, text):
    given = list(inspect.signature(named(name)).parameters.values())
    names = {p.name for p in given}
    by_place = [p for p in given if p.kind is not p.KEYWORD_ONLY]
    words, place, only_by_name = text.split(), 0, False
    named_from = words.index("/") if "/" in words else 0
    for k, word in enumerate(words):
        if word == "*":
            only_by_name = True
        elif word.startswith("*"):
            assert by_place[0].kind is inspect.Parameter.VAR_POSITIONAL
        elif word != "/":
            if not only_by_name:
                assert place < len(by_place), word
                if k >= named_from and name not in DEVIATIONS:
                    assert by_place[place].name == word
                place += 1
            if only_by_name or k >= named_from:
                assert word in names


def test_the_namespace_and_its_arrays_have_all_names():
    for name in ("e", "inf", "nan", "newaxis", "pi", "bool", "int8", "int16", "int32", "int64"):
        assert hasattr(mx, name)
    for name in ("uint8", "uint16", "uint32", "uint64", "float32", "float64", "complex64"):
        assert hasattr(mx, name)
    assert mx.bool is mx.bool_ and mx.__array_api_version__ == "2025.12"
    for name in (
        "T dtype device mT ndim shape size to_device __abs__ __array_namespace__ __bool__ __complex__ "
        "__dlpack__ __dlpack_device__ __float__ __getitem__ __index__ __int__ __invert__ __neg__ "
        "__pos__ __setitem__"
    ).split():
        assert hasattr(mx.array, name), name
    operators = "add and floordiv lshift matmul mod mul or pow rshift sub truediv xor"
    for name in operators.split():
        for prefix in ("", "r", "i"):
            assert hasattr(mx.array, f"__{prefix}{name}__"), (prefix, name)


def test_an_array_names_its_namespace_by_version():
    a = mx.ones(2)
    assert a.__array_namespace__() is mx
    for year in range(2021, 2026):
        assert a.__array_namespace__(api_version=f"{year}.12") is mx
    with pytest.raises(ValueError, match=r"\[array_namespace\] unknown api_version: got '2019.1'"):
        a.__array_namespace__(api_version="2019.1")


def test_the_namespace_answers_questions_about_itself():
    info = mx.__array_namespace_info__()
    assert info.capabilities()["boolean indexing"] and info.capabilities()["max dimensions"] == 64
    assert info.default_device() == mx.default_device() and info.devices() == [mx.Device(mx.cpu)]
    assert info.default_dtypes(device=mx.Device(mx.cpu)) == {
        "real floating": mx.array(1.0).dtype,
        "complex floating": mx.array(1j).dtype,
        "integral": mx.array(1).dtype,
        "indexing": mx.int32,
    }
    assert set(info.dtypes()) == set(DTYPES)
    assert info.dtypes(kind="bool") == {"bool": mx.bool_}
    assert list(info.dtypes(kind=("unsigned integer", "bool"))) == [
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "bool",
    ]
    with pytest.raises(ValueError, match="unknown kind"):
        info.dtypes(kind="float")
    with pytest.raises(ValueError, match="no such device"):
        info.dtypes(device="gpu")


# ---- dtypes
KINDS = {
    "bool": ["bool"],
    "signed": ["int8", "int16", "int32", "int64"],
    "unsigned": ["uint8", "uint16", "uint32", "uint64"],
    "float": ["float32", "float64"],
    "complex": ["complex64", "complex128"],
}
DTYPES = [name for names in KINDS.values() for name in names]
INTEGERS = KINDS["signed"] + KINDS["unsigned"]
FLOATS, INEXACT = KINDS["float"], KINDS["float"] + KINDS["complex"]
REAL, NUMERIC = INTEGERS + FLOATS, INTEGERS + FLOATS + KINDS["complex"]
# name: (dtypes of the operand, the dtype of the result: "same", "bool", "real")
UNARY = {
    "abs": (NUMERIC, "real"),
    "bitwise_invert": (["bool", *INTEGERS], "same"),
    **dict.fromkeys("ceil floor round trunc".split(), (REAL, "same")),
    **dict.fromkeys("positive negative square sign".split(), (NUMERIC, "same")),
    **dict.fromkeys(["conj"], (KINDS["complex"], "same")),
    **dict.fromkeys(["real", "imag"], (KINDS["complex"], "real")),
    **dict.fromkeys(["isfinite", "isinf", "isnan"], (NUMERIC, "bool")),
    "logical_not": (["bool"], "bool"),
    **dict.fromkeys(
        "acos acosh asin asinh atan atanh cos cosh exp expm1 log log1p log2 log10 reciprocal sin "
        "sinh sqrt tan tanh".split(),
        (INEXACT, "same"),
    ),
}
BINARY = {
    **dict.fromkeys("add subtract multiply pow".split(), (NUMERIC, "same")),
    "divide": (INEXACT, "same"),
    **dict.fromkeys("floor_divide remainder maximum minimum".split(), (REAL, "same")),
    **dict.fromkeys(["atan2", "logaddexp"], (FLOATS, "same")),
    **dict.fromkeys(["bitwise_and", "bitwise_or", "bitwise_xor"], (["bool", *INTEGERS], "same")),
    **dict.fromkeys(["bitwise_left_shift", "bitwise_right_shift"], (INTEGERS, "same")),
    **dict.fromkeys(["equal", "not_equal"], (DTYPES, "bool")),
    **dict.fromkeys("less less_equal greater greater_equal".split(), (REAL, "bool")),
    **dict.fromkeys(["logical_and", "logical_or", "logical_xor"], (["bool"], "bool")),
}
OPERATORS = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "pow": operator.pow,
    "divide": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor,
    "bitwise_left_shift": operator.lshift,
    "bitwise_right_shift": operator.rshift,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}
IN_PLACE = {
    name: getattr(operator, "i" + f.__name__.strip("_"))
    for name, f in OPERATORS.items()
    if BINARY[name][1] == "same"
}
SHAPES = [(), (3,), (0,), (2, 0, 3), (2, 1, 3)]


def kind_of(name):
    return next(kind for kind, names in KINDS.items() if name in names)


def promoted(a, b):
    """The standard's table; None where it has no entry."""
    kinds = {kind_of(a), kind_of(b)}
    size = {n: int("".join(c for c in n if c.isdigit()) or 0) for n in (a, b)}
    if len(kinds) == 1:
        return max((a, b), key=size.get)
    if kinds == {"signed", "unsigned"}:
        signed, unsigned = (a, b) if kind_of(a) == "signed" else (b, a)
        bits = max(size[signed], 2 * size[unsigned])
        return f"int{bits}" if bits <= 64 else None
    if kinds == {"float", "complex"}:
        wide = "float64" in (a, b) or "complex128" in (a, b)
        return "complex128" if wide else "complex64"
    return None


def some(dtype, shape=(3,)):
    values = np.arange(1, 1 + int(np.prod(shape))).reshape(shape) % 5 + 1
    return mx.array(values, getattr(mx, dtype))


def expected(rule, dtype):
    if rule == "real" and kind_of(dtype) == "complex":
        return {"complex64": "float32", "complex128": "float64"}[dtype]
    return "bool" if rule == "bool" else dtype


@pytest.mark.parametrize("name", UNARY)
def test_elementwise_functions_of_one_operand_keep_shape_and_have_the_dtype(name):
    dtypes, rule = UNARY[name]
    for dtype, shape in itertools.product(dtypes, SHAPES):
        y = getattr(mx, name)(some(dtype, shape))
        assert (y.dtype.name, y.shape) == (expected(rule, dtype), shape), dtype
        mx.eval(y)


@pytest.mark.parametrize("name", BINARY)
def test_elementwise_functions_of_two_operands_promote_and_broadcast(name):
    dtypes, rule = BINARY[name]
    call, symbol = getattr(mx, name), OPERATORS.get(name)
    for a, b in itertools.product(dtypes, dtypes):
        if promoted(a, b) is None:
            continue
        x, y = some(a), some(b)
        out = call(x, y)
        assert out.dtype.name == expected(rule, promoted(a, b)), (a, b)
        mx.eval(out)
        if symbol:
            assert mx.array_equal(symbol(x, y), out).item() and symbol(x, y).dtype == out.dtype
        if symbol and name in IN_PLACE and promoted(a, b) == a:
            changed = mx.array(x)
            changed = IN_PLACE[name](changed, y)
            assert changed.dtype == x.dtype and mx.array_equal(changed, out).item()
    for p, q in itertools.product(SHAPES, SHAPES):
        try:
            shape = np.broadcast_shapes(p, q)
        except ValueError:
            with pytest.raises(ValueError):
                call(some(dtypes[0], p), some(dtypes[0], q))
        else:
            assert call(some(dtypes[0], p), some(dtypes[0], q)).shape == shape


@pytest.mark.parametrize("name", BINARY)
def test_python_numbers_take_the_dtype_of_the_array_beside_them(name):
    dtypes, rule = BINARY[name]
    numbers = {"bool": True, "signed": 2, "unsigned": 2, "float": 2.0, "complex": 2j}
    allowed = {"float": ("signed", "float"), "complex": ("signed", "float", "complex")}
    for dtype in dtypes:
        for kind in allowed.get(kind_of(dtype), (kind_of(dtype),)):
            x, number = some(dtype), numbers[kind]
            for out in (getattr(mx, name)(x, number), getattr(mx, name)(number, x)):
                assert out.dtype.name == expected(rule, dtype), (dtype, kind)
                mx.eval(out)


@pytest.mark.parametrize("a, b", list(itertools.product(DTYPES, DTYPES)))
def test_result_type_and_can_cast_follow_the_table(a, b):
    t = promoted(a, b)
    if t is not None:
        assert mx.result_type(getattr(mx, a), some(b)) == getattr(mx, t)
        assert mx.can_cast(getattr(mx, a), getattr(mx, b)) is (t == b)
        assert mx.can_cast(some(a), getattr(mx, b)) is (t == b)


def test_result_type_takes_python_numbers():
    assert mx.result_type(mx.int8, 3) == mx.int8
    assert mx.result_type(3, some("uint8"), True) == mx.uint8
    assert mx.result_type(mx.float64, 1.5, 2) == mx.float64
    assert mx.result_type(mx.float32, 1j) == mx.complex64
    assert mx.result_type(mx.float64, 1j) == mx.complex128
    assert mx.result_type(1, 2.0) == mx.float32 and mx.result_type(True, True) == mx.bool_
    with pytest.raises(ValueError, match="no arguments"):
        mx.result_type()


def test_dtypes_have_kinds_and_limits_which_arrays_have_too():
    kinds = {
        "bool": ["bool"],
        "signed integer": KINDS["signed"],
        "unsigned integer": KINDS["unsigned"],
        "integral": INTEGERS,
        "real floating": FLOATS,
        "complex floating": KINDS["complex"],
        "numeric": NUMERIC,
    }
    for kind, names in kinds.items():
        for dtype in DTYPES:
            assert mx.isdtype(getattr(mx, dtype), kind) is (dtype in names)
    assert mx.isdtype(mx.int8, ("bool", mx.int8)) and not mx.isdtype(mx.int8, mx.int16)
    for dtype in INEXACT:
        found, real = mx.finfo(some(dtype)), np.finfo(dtype)
        assert (found.bits, found.eps, found.max, found.min) == (
            real.bits,
            real.eps,
            real.max,
            real.min,
        )
        assert found.smallest_normal == real.smallest_normal and found.dtype.name == real.dtype.name
    for dtype in INTEGERS:
        found, real = mx.iinfo(some(dtype)), np.iinfo(dtype)
        assert (found.bits, found.max, found.min, found.dtype.name) == (
            real.bits,
            real.max,
            real.min,
            dtype,
        )


# ---- special values: (operands, result) of the standard's lists, for float32 and float64
inf, nan, pi = float("inf"), float("nan"), np.pi
SPECIAL_1 = {
    "abs": [(-0.0, 0.0), (-inf, inf), (nan, nan)],
    "acos": [(2.0, nan), (-2.0, nan), (1.0, 0.0), (nan, nan)],
    "acosh": [(0.5, nan), (1.0, 0.0), (inf, inf), (nan, nan)],
    "asin": [(2.0, nan), (0.0, 0.0), (-0.0, -0.0)],
    "asinh": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf), (nan, nan)],
    "atan": [(0.0, 0.0), (-0.0, -0.0), (inf, pi / 2), (-inf, -pi / 2)],
    "atanh": [(2.0, nan), (-1.0, -inf), (1.0, inf), (0.0, 0.0), (-0.0, -0.0)],
    "ceil": [(inf, inf), (-inf, -inf), (0.0, 0.0), (-0.0, -0.0), (-0.5, -0.0), (nan, nan)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (inf, nan), (-inf, nan)],
    "cosh": [(0.0, 1.0), (inf, inf), (-inf, inf), (nan, nan)],
    "exp": [(0.0, 1.0), (-0.0, 1.0), (inf, inf), (-inf, 0.0), (nan, nan)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -1.0), (nan, nan)],
    "floor": [(inf, inf), (-inf, -inf), (0.0, 0.0), (-0.0, -0.0), (0.5, 0.0), (nan, nan)],
    "log": [(-1.0, nan), (0.0, -inf), (-0.0, -inf), (1.0, 0.0), (inf, inf)],
    "log1p": [(-2.0, nan), (-1.0, -inf), (0.0, 0.0), (-0.0, -0.0), (inf, inf)],
    "log2": [(-1.0, nan), (0.0, -inf), (-0.0, -inf), (1.0, 0.0), (inf, inf)],
    "log10": [(-1.0, nan), (0.0, -inf), (-0.0, -inf), (1.0, 0.0), (inf, inf)],
    "negative": [(0.0, -0.0), (-0.0, 0.0), (inf, -inf)],
    "reciprocal": [(0.0, inf), (-0.0, -inf), (inf, 0.0), (-inf, -0.0), (nan, nan)],
    "round": [
        (0.5, 0.0),
        (1.5, 2.0),
        (2.5, 2.0),
        (-0.5, -0.0),
        (-1.5, -2.0),
        (inf, inf),
        (nan, nan),
    ],
    "sign": [(-3.0, -1.0), (0.0, 0.0), (-0.0, 0.0), (3.0, 1.0), (inf, 1.0), (nan, nan)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (inf, nan), (-inf, nan)],
    "sinh": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf)],
    "sqrt": [(-1.0, nan), (0.0, 0.0), (-0.0, -0.0), (inf, inf), (nan, nan)],
    "tan": [(0.0, 0.0), (-0.0, -0.0), (inf, nan), (-inf, nan)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (inf, 1.0), (-inf, -1.0)],
    "trunc": [(inf, inf), (-inf, -inf), (0.0, 0.0), (-0.0, -0.0), (-0.5, -0.0), (nan, nan)],
}
SPECIAL_2 = {
    "add": [
        (inf, -inf, nan), (inf, inf, inf), (inf, 1.0, inf), (1.0, -inf, -inf), (-0.0, -0.0, -0.0),
        (-0.0, 0.0, 0.0), (0.0, -0.0, 0.0), (0.0, 0.0, 0.0), (2.0, -2.0, 0.0), (nan, 1.0, nan),
        (-0.0, 1.0, 1.0),
    ],
    "atan2": [
        (nan, 1.0, nan), (1.0, nan, nan), (1.0, 0.0, pi / 2), (1.0, -0.0, pi / 2), (0.0, 1.0, 0.0),
        (0.0, 0.0, 0.0), (0.0, -0.0, pi), (0.0, -1.0, pi), (-0.0, 1.0, -0.0), (-0.0, 0.0, -0.0),
        (-0.0, -0.0, -pi), (-0.0, -1.0, -pi), (-1.0, 0.0, -pi / 2), (1.0, inf, 0.0),
        (1.0, -inf, pi), (-1.0, inf, -0.0), (-1.0, -inf, -pi), (inf, 1.0, pi / 2),
        (-inf, 1.0, -pi / 2), (inf, inf, pi / 4), (inf, -inf, 3 * pi / 4), (-inf, inf, -pi / 4),
        (-inf, -inf, -3 * pi / 4),
    ],
    "divide": [
        (inf, inf, nan), (inf, -inf, nan), (0.0, 0.0, nan), (0.0, -0.0, nan), (0.0, 1.0, 0.0),
        (-0.0, 1.0, -0.0), (0.0, -1.0, -0.0), (-0.0, -1.0, 0.0), (1.0, 0.0, inf), (1.0, -0.0, -inf),
        (-1.0, 0.0, -inf), (-1.0, -0.0, inf), (inf, 1.0, inf), (inf, -1.0, -inf), (1.0, inf, 0.0),
        (1.0, -inf, -0.0), (-1.0, inf, -0.0), (-1.0, -inf, 0.0),
    ],
    "floor_divide": [
        (nan, 1.0, nan), (inf, inf, nan), (0.0, 0.0, nan), (-0.0, 0.0, nan), (0.0, 1.0, 0.0),
        (-0.0, 1.0, -0.0), (0.0, -1.0, -0.0), (-0.0, -1.0, 0.0), (1.0, inf, 0.0), (1.0, -inf, -1.0),
        (-1.0, inf, -1.0), (-1.0, -inf, 0.0), (7.0, -2.0, -4.0),
    ],
    "remainder": [
        (nan, 1.0, nan), (inf, 1.0, nan), (-inf, inf, nan), (1.0, 0.0, nan), (0.0, 0.0, nan),
        (0.0, 1.0, 0.0), (-0.0, 1.0, 0.0), (0.0, -1.0, -0.0), (-0.0, -1.0, -0.0), (1.0, inf, 1.0),
        (1.0, -inf, -inf), (-1.0, inf, inf), (-1.0, -inf, -1.0), (5.0, -3.0, -1.0),
        (-5.0, 3.0, 1.0),
    ],
    "pow": [
        (2.0, nan, nan), (nan, 0.0, 1.0), (inf, 0.0, 1.0), (nan, -0.0, 1.0), (nan, 2.0, nan),
        (2.0, inf, inf), (2.0, -inf, 0.0), (1.0, nan, 1.0), (1.0, inf, 1.0), (-1.0, inf, 1.0),
        (-1.0, -inf, 1.0), (0.5, inf, 0.0), (0.5, -inf, inf), (inf, 2.0, inf), (inf, -2.0, 0.0),
        (-inf, 3.0, -inf), (-inf, 2.0, inf), (-inf, 2.5, inf), (-inf, -3.0, -0.0),
        (-inf, -2.0, 0.0), (0.0, 2.0, 0.0), (0.0, -2.0, inf), (-0.0, 3.0, -0.0), (-0.0, 2.0, 0.0),
        (-0.0, 2.5, 0.0), (-0.0, -3.0, -inf), (-0.0, -2.0, inf), (-2.0, 0.5, nan),
    ],
    "multiply": [
        (inf, 0.0, nan), (-inf, -0.0, nan), (inf, -1.0, -inf), (0.0, -1.0, -0.0), (-0.0, -1.0, 0.0),
        (inf, inf, inf), (inf, -inf, -inf),
    ],
    "subtract": [(inf, inf, nan), (0.0, 0.0, 0.0), (-0.0, 0.0, -0.0), (-0.0, -0.0, 0.0)],
    "maximum": [(nan, 1.0, nan), (1.0, nan, nan), (inf, 1.0, inf)],
    "minimum": [(nan, 1.0, nan), (1.0, nan, nan), (-inf, 1.0, -inf)],
    "logaddexp": [(nan, 1.0, nan), (inf, 1.0, inf), (inf, nan, nan)],
    "equal": [(nan, nan, False), (0.0, -0.0, True), (inf, inf, True), (inf, -inf, False)],
    "less": [(nan, 1.0, False), (-0.0, 0.0, False), (-inf, inf, True)],
    "greater_equal": [(nan, nan, False), (-0.0, 0.0, True), (-inf, inf, False)],
}
COMPLEX = {
    "abs": [(complex(inf, nan), inf), (complex(nan, inf), inf), (complex(nan, 0.0), nan)],
    "exp": [(0j, 1 + 0j), (complex(-inf, 1.0), 0j), (complex(inf, 0.0), complex(inf, 0.0))],
    "expm1": [(0j, 0j), (complex(inf, 0.0), complex(inf, 0.0))],
    "sqrt": [(complex(-0.0, 0.0), 0j), (complex(1.0, inf), complex(inf, inf))],
    "cosh": [(0j, 1 + 0j), (complex(inf, 0.0), complex(inf, 0.0))],
    "sinh": [(0j, 0j), (complex(inf, 0.0), complex(inf, 0.0))],
    "tanh": [(0j, 0j), (complex(inf, 1.0), complex(1.0, 0.0))],
    "log": [(complex(-0.0, 0.0), complex(-inf, pi)), (0j, complex(-inf, 0.0))],
    "atanh": [(1 + 0j, complex(inf, 0.0))],
    "isfinite": [(complex(inf, nan), False), (complex(1.0, nan), False)],
    "isinf": [(complex(inf, nan), True), (complex(1.0, nan), False)],
    "isnan": [(complex(inf, nan), True), (complex(inf, 1.0), False)],
    "sign": [(0j, 0j), (3 + 4j, 0.6 + 0.8j)],
}


def check(got, wanted, what):
    got = got.item()
    if isinstance(wanted, bool):
        assert got is wanted, what
        return
    for g, w in ((got.real, wanted.real), (got.imag, wanted.imag)):
        if w != w:
            assert g != g, (what, got)
        else:
            close = g == w or abs(g - w) <= 1e-6 * abs(w)
            assert close and (w != 0 or np.signbit(g) == np.signbit(w)), (what, got, wanted)


@pytest.mark.parametrize("dtype", FLOATS)
def test_special_values_are_those_of_the_standard(dtype):
    t = getattr(mx, dtype)
    for name, cases in SPECIAL_1.items():
        for x, y in cases:
            check(getattr(mx, name)(mx.array(x, t)), y, f"{name}({x})")
            check(getattr(mx, name)(mx.array([x] * 19, t))[17], y, f"{name}({x}) in a vector")
    for name, cases in SPECIAL_2.items():
        for a, b, y in cases:
            one, other = mx.array(a, t), mx.array(b, t)
            check(getattr(mx, name)(one, other), y, f"{name}({a}, {b})")
            check(
                getattr(mx, name)(mx.array([a] * 19, t), b)[17], y, f"{name}({a}, {b}) in a vector"
            )
            if name in OPERATORS:
                check(OPERATORS[name](one, other), y, f"operator {name}({a}, {b})")


@pytest.mark.parametrize("dtype", KINDS["complex"])
def test_special_values_of_complex_numbers(dtype):
    for name, cases in COMPLEX.items():
        for x, y in cases:
            check(getattr(mx, name)(mx.array([x], getattr(mx, dtype)))[0], y, f"{name}({x})")


# ---- arrays
def test_only_arrays_of_one_element_become_python_numbers():
    for a, number in ((True, True), (2, 2), (1.5, 1.5)):
        x = mx.array(a)
        assert bool(x) is bool(number) and float(x) == number and complex(x) == number
    assert int(mx.array(3.7)) == 3 and complex(mx.array(1 + 2j)) == 1 + 2j
    assert operator.index(mx.array(3, mx.uint8)) == 3 and [5, 6][mx.array(1)] == 6
    for convert in (float, int):
        with pytest.raises(TypeError):
            convert(mx.array(1j))
    for x in (mx.array(1.0), mx.array([1])):
        with pytest.raises(TypeError):
            operator.index(x)
    for convert in (bool, int, float, complex):
        with pytest.raises(ValueError):
            convert(mx.ones(2))


KEYS = [
    0, -1, (0, 1, 2), slice(None), ..., None, (None, 0, ..., None), slice(0, 10), (),
    slice(None, None, -1), (0, ...), slice(5, 2), slice(1, 0, -1), slice(-5, 5, 2),
    (..., slice(3, None, -2)), (0, slice(1, 2), slice(0, 0)), (0, 1, 2, ...),
    (slice(None, None, 2), None, 1),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_indexing_reads_and_writes_as_the_standard_says(key):
    a = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    x = mx.array(a)
    assert x[key].shape == a[key].shape and (np.array(x[key]) == a[key]).all()
    x[key] = 7
    a[key] = 7
    assert (np.array(x) == a).all()


@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (2, 3, 4)], ids=repr)
def test_masks_of_any_number_of_axes_read_and_write(shape):
    a = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    for mask in (
        np.ones(shape, bool),
        np.zeros(shape, bool),
        np.arange(24)[: np.prod(shape, dtype=int)].reshape(shape) % 2 == 1,
    ):
        x, b, m = mx.array(a), a.copy(), mx.array(mask)
        assert x[m].shape == a[mask].shape and (np.array(x[m]) == a[mask]).all()
        x[m] = 7
        b[mask] = 7
        assert (np.array(x) == b).all()


# The standard: each axis of a mask is as long as that of the array, or 0, which marks nothing.
EMPTY_MASKS = [
    (shape, mask)
    for shape in [(3,), (0,), (2, 3), (0, 1), (1, 0), (2, 0, 3), (2, 3, 4)]
    for ndim in range(1, len(shape) + 1)
    for mask in itertools.product(*[{0, n} for n in shape[:ndim]])
    if 0 in mask
]


@pytest.mark.parametrize("shape, mask", EMPTY_MASKS, ids=repr)
def test_a_mask_of_no_elements_marks_nothing(shape, mask):
    a, where = mx.zeros(shape), mx.zeros(mask, dtype=mx.bool_)
    rest = shape[len(mask) :]
    assert a[where].shape == a[where, ...].shape == (0, *rest)
    for value in (1.0, mx.ones((0, *rest)), mx.ones(rest)):
        a[where] = value
    a[where] += 1
    assert np.array_equal(np.array(a), np.zeros(shape)) and a.shape == shape
    assert np.array_equal(np.array(a.at[where].add(1.0)), np.zeros(shape))
    wrong = mx.zeros((*mask[:-1], shape[len(mask) - 1] + 1), dtype=mx.bool_)
    for use in (lambda: a[wrong], lambda: a.__setitem__(wrong, 1.0)):
        with pytest.raises(IndexError, match=r"\[index\] mask does not fit: got shape"):
            use()


def test_arrays_go_to_devices_and_to_other_dtypes():
    a = mx.ones(3)
    for device in (a.device, mx.cpu, mx.default_device()):
        b = a.to_device(device)
        assert mx.array_equal(a, b).item() and b.device == mx.Device(mx.cpu)
        b[0] = 5
        assert a[0].item() == 1
        for made in (
            mx.ones(2, device=device),
            mx.arange(3, device=device),
            mx.eye(2, device=device),
        ):
            assert made.device == device
        assert mx.zeros_like(a, device=device).shape == (3,)
        assert mx.asarray([1, 2], device=device).shape == (2,)
        assert mx.astype(a, mx.int8, device=device).dtype == mx.int8
        assert mx.from_dlpack(a, device=device, copy=True).shape == (3,)
    for options in ({}, {"copy": True}):
        b = mx.astype(a, mx.float32, **options)
        b[0] = 5
        assert a[0].item() == 1 and b[0].item() == 5
    with pytest.raises(ValueError, match=r"\[to_device\] device: got None"):
        a.to_device(None)
    with pytest.raises(TypeError):
        a.to_device("cpu:9")


def test_an_array_that_may_not_be_copied_is_itself():
    a = mx.ones(3)
    assert mx.asarray(a, copy=False) is a
    b = mx.asarray(a, copy=True)
    b[0] = 5
    assert a[0].item() == 1
    with pytest.raises(ValueError):
        mx.asarray(a, dtype=mx.int8, copy=False)


@pytest.mark.parametrize("dtype", DTYPES)
def test_astype_without_a_copy_is_the_array_where_it_has_the_dtype(dtype):
    a = mx.ones(3, dtype=getattr(mx, dtype))
    for astype in (mx.astype, mx.array.astype):
        assert astype(a, a.dtype, copy=False) is a
        for options in ({}, {"copy": True}):
            b = astype(a, a.dtype, **options)
            assert b is not a and b.dtype == a.dtype
            b[0] = 0
            assert a[0].item() == 1
        other = mx.int16 if dtype == "int8" else mx.int8
        if dtype not in KINDS["complex"]:
            c = astype(a, other, copy=False)
            assert c is not a and c.dtype == other and c.tolist() == [1, 1, 1]
    assert mx.astype(2, mx.int32, copy=False).tolist() == 2


@pytest.mark.parametrize("k", [2**31, 2**63 - 1, 2**63, 10**30])
def test_a_diagonal_may_lie_anywhere_outside_a_matrix(k):
    for far in (k, -k):
        assert mx.eye(2, 3, k=far).tolist() == np.zeros((2, 3)).tolist()


def test_a_parameter_is_known_by_the_standards_name_and_the_references():
    assert mx.full((2,), fill_value=3).tolist() == mx.full((2,), vals=3).tolist() == [3, 3]
    assert mx.full_like(mx.ones(2), fill_value=3).tolist() == [3, 3]
    x = mx.array([-1.0, 0.5, 4.0])
    for call in (mx.clip(x, min=0, max=1), mx.clip(x, a_min=0, a_max=1), mx.clip(x, 0, max=1)):
        assert call.tolist() == [0, 0.5, 1]
    assert mx.clip(x).tolist() == x.tolist()
    for name in "var std nanvar nanstd".split():
        f = getattr(mx, name)
        assert f(x, correction=1).item() == f(x, ddof=1).item()
    assert abs(mx.var(x, correction=0.5).item() - np.array(x).var() * 3 / 2.5) < 1e-5
    assert x.var(correction=1).item() == x.var(ddof=1).item()
    with pytest.raises(TypeError, match="multiple values for argument 'fill_value'"):
        mx.full((2,), 1, fill_value=2)
    with pytest.raises(TypeError, match="missing required argument 'vals'"):
        mx.full((2,))
    with pytest.raises(TypeError, match="unexpected keyword argument 'maximum'"):
        mx.clip(x, maximum=2)


def test_sums_and_products_take_a_dtype():
    x = mx.array([100, 100], mx.int8)
    assert mx.sum(x).dtype == mx.int32 and mx.sum(x, dtype=mx.float64).dtype == mx.float64
    assert mx.sum(x, dtype=mx.int8).item() == -56 and mx.prod(x, dtype=mx.int64).item() == 10000
    assert mx.vecdot(x, x).dtype == mx.int8


def test_results_of_several_arrays_are_named_tuples():
    a = mx.array([[2.0, 1.0], [1.0, 3.0]])
    fields = {
        "eigh": "eigenvalues eigenvectors",
        "eig": "eigenvalues eigenvectors",
        "qr": "Q R",
        "slogdet": "sign logabsdet",
        "svd": "U S Vh",
    }
    for name, parts in fields.items():
        f = getattr(mx.linalg, name)
        made = f(a)
        assert isinstance(made, tuple) and made._fields == tuple(parts.split())
        assert all(getattr(made, p) is q for p, q in zip(parts.split(), made))
        assert type(mx.compile(f)(a)) is type(made) is type(mx.vmap(f)(mx.stack([a, a])))
    q, r = mx.linalg.qr(a)
    assert mx.allclose(q @ r, a, atol=1e-5).item()
    assert isinstance(mx.linalg.qr(a, "r"), mx.array)
    assert isinstance(mx.linalg.svd(a, compute_uv=False), mx.array)
    x = mx.array([3, 1, 3])
    assert mx.unique_all(x)._fields == ("values", "indices", "inverse_indices", "counts")
    assert mx.unique_all(x).indices.dtype == mx.unique_inverse(x).inverse_indices.dtype == mx.int64


def test_tolerances_of_each_matrix():
    a = mx.array(np.array([[[2.0, 0.0], [0.0, 1e-2]]] * 2, np.float32))
    rtol = mx.array([1e-3, 1e-1])
    assert mx.linalg.matrix_rank(a, rtol=rtol).tolist() == [2, 1]
    assert mx.linalg.matrix_rank(a, mx.array([1e-3, 3.0])).tolist() == [2, 0]
    made = np.array(mx.linalg.pinv(a, rtol=rtol))
    assert np.allclose(made, [[[0.5, 0], [0, 100]], [[0.5, 0], [0, 0]]], rtol=1e-5)


def test_slices_repeat_as_often_as_counts_say():
    a = np.arange(6).reshape(2, 3)
    x = mx.array(a)
    for counts, axis in (([1, 0, 2], 1), ([3], 1), ([2, 1], 0), (2, 0), ([1, 2, 3, 0, 1, 2], None)):
        n = mx.array(counts)
        assert mx.repeat(x, n, axis=axis).tolist() == np.repeat(a, counts, axis).tolist()
    assert mx.repeat(x, mx.array([1, 0, 2]), axis=1, size=4).tolist() == [
        [0, 2, 2, 2],
        [3, 5, 5, 5],
    ]
    traced = mx.compile(lambda x, n: mx.repeat(x, n, axis=1, size=3))
    assert traced(x, mx.array([1, 0, 2])).tolist() == np.repeat(a, [1, 0, 2], 1).tolist()
    with pytest.raises(ValueError, match=r"\[repeat\].*size=10"):
        mx.compile(lambda x, n: mx.repeat(x, n, axis=1))(x, mx.array([1, 0, 2]))
    for wrong in ([1, -1, 2], [1, 2], [[1, 2, 3]]):
        with pytest.raises(ValueError, match=r"\[repeat\]"):
            mx.repeat(x, mx.array(wrong), axis=1)
    slope = mx.grad(lambda v: (mx.repeat(v, mx.array([1, 0, 2])) * mx.array([1.0, 2, 3])).sum())
    assert slope(mx.ones(3)).tolist() == [1, 0, 5]


def test_complex_numbers_at_equal_distances():
    for args in ((0, 1j, 3), (1 + 2j, 3 - 1j, 5), (2, 3j, 1)):
        for end in (True, False):
            made = mx.linspace(*args, endpoint=end)
            assert made.dtype == mx.complex64
            assert np.allclose(np.array(made), np.linspace(*args, endpoint=end), atol=1e-6)
    assert mx.linspace(0, 1j, 3, dtype=mx.complex128).dtype == mx.complex128


def test_frequencies_have_the_dtype_that_is_asked_for():
    for name in ("fftfreq", "rfftfreq"):
        f = getattr(mx.fft, name)
        assert f(5).dtype == mx.float32 and f(5, d=0.3, dtype=mx.float64).dtype == mx.float64
        assert (np.array(f(5, d=0.3, dtype=mx.float64)) == getattr(np.fft, name)(5, 0.3)).all()
        with pytest.raises(ValueError, match="not a floating dtype"):
            f(5, dtype=mx.int32)
