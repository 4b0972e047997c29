"""Arguments: sizes of many kinds, and errors that name the function and the parameter."""

import numpy as np
import pytest

import lazulite.core as mx

TWO = [
    2,
    np.int8(2),
    np.int64(2),
    np.uint64(2),
    np.array(2),
    np.array([2]),
    mx.array(2),
    mx.array([2]),
    mx.array(2, mx.uint8),
]
PAIR = [
    (2, 3),
    [2, 3],
    np.array([2, 3]),
    np.array([2, 3], np.uint8),
    mx.array([2, 3]),
    mx.array([2, 3], mx.int64),
    (np.int64(2), mx.array(3)),
    mx.array([2, 0, 3])[::2],
    range(2, 4),
]


@pytest.mark.parametrize(
    "two", TWO, ids=lambda o: f"{type(o).__module__}.{type(o).__name__}{np.shape(np.array(o))}"
)
def test_whatever_takes_an_int_takes_integers_of_numpy_and_arrays_of_one(two):
    a = mx.arange(24).reshape(2, 3, 4)
    assert (
        mx.zeros(two).shape == (2,)
        and mx.ones((two, 3)).shape == (2, 3)
        and mx.eye(two).shape == (2, 2)
        and mx.tri(two, two).shape == (2, 2)
    )
    assert (
        mx.full(two, 7).shape == (2,)
        and mx.linspace(0, 1, two).shape == (2,)
        and mx.identity(two).shape == (2, 2)
    )
    assert (
        a.sum(two).shape == (2, 3)
        and mx.sum(a, axis=two).shape == (2, 3)
        and mx.expand_dims(a, two).shape == (2, 3, 1, 4)
        and mx.argmax(a, two).shape == (2, 3)
    )
    assert (
        mx.repeat(a, two, two).shape == (2, 3, 8)
        and mx.tile(a, two).shape == (2, 3, 8)
        and len(mx.split(a, two, two)) == 2
    )
    assert (
        mx.concatenate([a, a], two).shape == (2, 3, 8)
        and mx.stack([a, a], two).shape == (2, 3, 2, 4)
        and mx.moveaxis(a, two, 0).shape == (4, 2, 3)
    )
    assert (
        mx.swapaxes(a, 0, two).shape == (4, 3, 2)
        and mx.flatten(a, 1, two).shape == (2, 12)
        and mx.squeeze(mx.ones((2, 2, 1)), two).shape == (2, 2)
    )
    assert (
        mx.pad(mx.ones(3), two).shape == (7,)
        and mx.roll(mx.arange(4), two).tolist() == [2, 3, 0, 1]
        and mx.diagonal(mx.ones((4, 4)), two).shape == (2,)
    )
    assert (
        mx.random.split(mx.random.key(0), two).shape == (2, 2)
        and mx.random.normal(two).shape == (2,)
        and mx.random.randint(0, 9, two).shape == (2,)
    )
    assert (
        mx.broadcast_to(mx.ones(1), two).shape == (2,)
        and mx.unflatten(mx.ones(4), 0, (two, -1)).shape == (2, 2)
        and a.reshape(two, -1).shape == (2, 12)
    )
    assert mx.diff(mx.ones((5, 2)), 2**31 - 1, 0).shape == (0, 2)
    assert mx.diff(mx.arange(5), two).tolist() == [0, 0, 0] and mx.round(
        mx.array(1.239), two
    ).item() == pytest.approx(1.24)
    assert np.ndim(np.array(two)) == 1 or mx.tensordot(a, a.transpose(1, 2, 0), two).shape == (2, 2)
    assert mx.take(a, two, 2).shape == (2, 3) or np.ndim(np.array(two)) == 1


@pytest.mark.parametrize("pair", PAIR, ids=lambda o: type(o).__module__ + "." + type(o).__name__)
def test_whatever_takes_a_shape_takes_arrays_of_integers(pair):
    a = mx.arange(6)
    assert (
        mx.zeros(pair).shape == (2, 3)
        and a.reshape(pair).shape == (2, 3)
        and mx.reshape(a, pair).shape == (2, 3)
        and mx.full(pair, 1).shape == (2, 3)
    )
    assert (
        mx.broadcast_to(mx.ones(3), pair).shape == (2, 3)
        and mx.tile(mx.ones((1, 1)), pair).shape == (2, 3)
        and mx.random.uniform(shape=pair).shape == (2, 3)
    )
    assert (
        mx.random.normal(pair).shape == (2, 3)
        and mx.random.bernoulli(0.5, pair).shape == (2, 3)
        and mx.random.truncated_normal(0.0, 1.0, pair).shape == (2, 3)
    )
    assert [p.shape for p in mx.split(a, pair)] == [(2,), (1,), (3,)] and mx.broadcast_shapes(
        pair, (1, 1)
    ) == (2, 3)
    b = mx.ones((2, 3, 4, 5))
    assert (
        mx.sum(b, axis=pair).shape == (2, 3)
        and b.sum(pair).shape == (2, 3)
        and mx.expand_dims(b, pair).shape == (2, 3, 1, 1, 4, 5)
        and mx.flip(b, pair).shape == b.shape
    )
    assert (
        mx.pad(mx.ones(3), pair).shape == (8,)
        and mx.mean(b, pair).shape == (2, 3)
        and mx.moveaxis(b, pair, [0, 1]).shape == (4, 5, 2, 3)
    )
    assert mx.unflatten(a, 0, pair).shape == (2, 3) and mx.as_strided(a, pair, (0, 1)).shape == (
        2,
        3,
    )


def test_other_kinds_of_orders_and_splits():
    a = mx.ones((2, 3, 4))
    for order in (np.array([2, 0, 1]), mx.array([2, 0, 1])):
        assert mx.transpose(a, order).shape == a.transpose(order).shape == (4, 2, 3)
    assert [p.shape[0] for p in mx.split(mx.arange(9), np.cumsum([2, 3]))] == [2, 3, 4]
    assert [p.shape[0] for p in mx.split(mx.arange(9), mx.array([2, 5]))] == [2, 3, 4]
    assert mx.pad(mx.ones((2, 3)), np.array([[1, 1], [0, 2]])).shape == (4, 5)
    assert mx.tensordot(a, a, (np.array([0, 1]), mx.array([0, 1]))).shape == (4, 4)
    for bad in (
        mx.array([1.0]),
        np.array([1.5, 2]),
        mx.array([[1, 2]]),
        2.0,
        "ab",
        None,
        {1, 2},
        {1: 2},
        (1.0,),
        mx.array([True, False]),
    ):
        with pytest.raises(TypeError, match=r"\[zeros\] shape: got"):
            mx.zeros(bad)


def test_axes_beyond_32_bits_are_out_of_range():
    a = mx.ones((2, 3))
    for axis in (2**32, 2**32 + 1, -(2**32), 2**31, 2**63, 2**64, 10**30, -(10**30)):
        for call in (
            lambda: mx.sum(a, axis=axis),
            lambda: mx.sum(a, axis=(axis,)),
            lambda: mx.expand_dims(a, axis),
            lambda: mx.squeeze(a, axis),
            lambda: mx.transpose(a, (axis, 1)),
            lambda: a.transpose(axis, 1),
            lambda: mx.concatenate([a, a], axis),
            lambda: mx.stack([a, a], axis),
            lambda: mx.moveaxis(a, axis, 0),
            lambda: mx.moveaxis(a, 0, axis),
            lambda: mx.swapaxes(a, axis, 0),
            lambda: mx.argmax(a, axis),
            lambda: mx.softmax(a, axis),
            lambda: mx.take(a, mx.array([0]), axis),
            lambda: mx.flip(a, axis),
            lambda: mx.roll(a, 1, axis),
            lambda: mx.split(a, 1, axis),
            lambda: mx.repeat(a, 2, axis),
            lambda: mx.median(a, axis),
        ):
            with pytest.raises(IndexError):
                call()


@pytest.mark.parametrize("k", [2**62, 2**63 - 1, 2**63, 2**70, np.uint64(2**64 - 1)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_diagonal_far_away_is_empty(k, sign):
    k = sign * int(k) if sign < 0 else k
    a = mx.arange(1, 13).reshape(3, 4)
    assert mx.diagonal(a, k).shape == mx.linalg.diagonal(a, offset=k).shape == (0,)
    assert mx.diag(a, k).shape == a.diagonal(k).shape == (0,)
    assert mx.trace(a, k).item() == mx.linalg.trace(a, offset=k).item() == 0
    below, none = (a.tolist(), [[0] * 4] * 3)[:: 1 if sign > 0 else -1]
    assert mx.tril(a, k).tolist() == below and mx.triu(a, k).tolist() == none
    assert mx.tri(2, 3, k).tolist() == [[float(sign > 0)] * 3] * 2
    assert mx.eye(2, 3, k).tolist() == [[0.0] * 3] * 2
    with pytest.raises(MemoryError, match="diag"):
        mx.diag(mx.arange(3), k)


def test_slices_with_huge_numbers_are_those_of_python():
    n = list(range(5))
    a = mx.arange(5)
    big = [
        None,
        0,
        1,
        3,
        -1,
        -7,
        2**31,
        2**63 - 1,
        2**63,
        2**70,
        -(2**31),
        -(2**63),
        -(2**70),
        10**30,
    ]
    for start in big:
        for stop in big:
            for step in big:
                if step != 0:
                    assert a[start:stop:step].tolist() == n[start:stop:step], (start, stop, step)


MESSAGES = {
    "mx.sin('a')": r"\[sin\] a: got str 'a', expected an array or a number",
    "mx.add(mx.ones(2), {})": r"\[add\] b: got dict, expected an array or a number",
    "mx.ones((2, 3), 3)": r"\[ones\] dtype: got 3, expected a dtype.*; a shape is one argument: ones\(\(2, 3\)\)",
    "mx.ones(2, 3)": r"\[ones\] dtype: got 3, expected a dtype.*; a shape is one argument: ones\(\(2, 3\)\)",
    "mx.ones(2).view(2, 3)": r"\[view\] .*expected one dtype, use reshape for shapes",
    "mx.concatenate(mx.ones(2), mx.ones(2))": r"\[concatenate\] axis: got array, expected an int; arrays go in one list",
    "mx.random.normal(key=3)": r"\[normal\] key: got",
    "mx.random.normal(key='a')": r"\[normal\] key: got str 'a'",
    "mx.random.uniform(shape='a')": r"\[uniform\] shape: got str 'a', expected an int or a sequence of ints",
    "mx.random.permutation('a')": r"\[permutation\] x: got str 'a'",
    "mx.sum(mx.ones(2), axis='x')": r"\[sum\] axis: got str 'x'",
    "mx.ones(2).sum(axis=1.5)": r"\[sum\] axis: got 1.5",
    "mx.sum('a')": r"\[sum\] a: got str 'a'",
    "mx.where(mx.ones(2), None, 1)": r"\[where\] x: got None",
    "mx.clip(mx.ones(2), 'a', 1)": r"\[clip\] a_min: got str 'a'",
    "mx.arange('a')": r"\[arange\] stop: got str 'a', expected a number",
    "mx.linspace(None, 1)": r"\[linspace\] start: got None",
    "mx.zeros(2.5)": r"\[zeros\] shape: got 2.5",
    "mx.eye('a')": r"\[eye\] n: got str 'a', expected an int",
    "mx.stack(3)": r"\[stack\] arrays: got 3, expected a list of arrays",
    "mx.stack([mx.ones(1), 'a'])": r"\[stack\] arrays: got str 'a'",
    "mx.sin(mx.ones(1), stream=3)": r"\[sin\] stream: got 3",
    "mx.pad(mx.ones(2), 'a')": r"\[pad\] pad_width: got str 'a'",
    "mx.pad(mx.ones(2), 1, mode=3)": r"\[pad\] mode: got 3, expected a str",
    "mx.tensordot(mx.ones(2), mx.ones(2), 'x')": r"\[tensordot\] axes: got str 'x'",
    "mx.array([1, None])": r"\[array\] val: got None",
    "mx.array('a')": r"\[array\] val: got str 'a'",
    "mx.ones(2).astype('x')": r"\[astype\] dtype: got str 'x', expected a dtype",
    "mx.split(mx.ones(4), 'a')": r"\[split\] indices_or_sections: got str 'a'",
    "mx.random.seed('a')": r"\[seed\] seed: got str 'a'",
}


@pytest.mark.parametrize("text", MESSAGES)
def test_an_error_names_the_function_and_the_argument(text):
    for kind in (TypeError, ValueError):  # the reference raises now one, now the other
        with pytest.raises(kind, match=MESSAGES[text]):
            eval(text)


def test_errors_name_the_function_that_was_called_and_not_one_that_it_uses():
    a = mx.ones((2, 3))
    for name, call in {
        "var": lambda: mx.var(a, 7),
        "outer": lambda: mx.outer(mx.ones(1 << 31), mx.ones(1 << 31)),
        "vecdot": lambda: mx.vecdot(a, mx.ones((4, 5))),
        "stack": lambda: mx.stack([a, mx.ones(2)]),
        "kron": lambda: mx.kron(mx.ones(1 << 40), mx.ones(1 << 40)),
        "inner": lambda: mx.inner(a, mx.ones(2)),
        "std": lambda: mx.std(a, 5),
        "zeros": lambda: mx.zeros((-1,)),
        "logsumexp": lambda: mx.logsumexp(a, 9),
        "repeat": lambda: mx.repeat(a, -1),
        "unflatten": lambda: mx.unflatten(a, 0, (5, 5)),
    }.items():
        with pytest.raises((ValueError, MemoryError), match=rf"^\[{name}\] "):
            call()
    late = mx.take(mx.ones(3), mx.array([7]))
    with pytest.raises(IndexError, match=r"^\[take\]|^\[gather\]|^\[index"):
        mx.array_equal(late, late).item()


def test_what_is_given_in_a_wrong_form_is_named():
    f = lambda x: x.sum()
    for call, text in (
        (lambda: mx.random.permutation(2.5), r"\[permutation\] x"),
        (lambda: mx.set_printoptions(precision="a"), r"\[set_printoptions\] precision"),
        (lambda: mx.printoptions(precision=None), r"\[printoptions\] precision"),
        (lambda: mx.grad(f, argnames=3), r"\[grad\] argnames"),
        (lambda: mx.jvp(f, mx.array(1.0), mx.array(1.0)), r"\[jvp\] primals"),
        (lambda: mx.cond("x", f, f), r"\[cond\] pred"),
        (lambda: mx.array(np.array(["2020"], "M8[s]")), r"\[array\] val"),
    ):
        with pytest.raises(TypeError, match=text):
            call()
    with pytest.raises(ValueError, match=r"\[fori_loop\] the carried value"):
        mx.fori_loop(0, 3, lambda i, c: "a", mx.ones(2))


def test_numbers_that_no_element_can_be_are_not_in_an_array():
    assert 300 not in mx.array([1], mx.uint8) and 2**70 not in mx.arange(5)


def test_a_slice_takes_bounds_of_one_element():
    assert mx.arange(5)[np.array([1]) : np.array(3)].tolist() == [1, 2]


def test_errors_of_sizes_name_the_step_whose_dtype_they_tell():
    with pytest.raises(MemoryError, match=r"^\[eye\] too large.* of float32.*2\^63 bytes$"):
        mx.eye(1 << 31)
    # as bools they would fit, but not what is compared
    large = mx.broadcast_to(mx.array(1, mx.int8), (1 << 30, 1 << 31))
    with pytest.raises(
        MemoryError, match=r"^\[isclose\] too large.* of float32.*; in its step \w+$"
    ):
        mx.isclose(large, large)


def test_elementwise_functions_take_a_stream_by_position_and_operands_by_name():
    ones = mx.ones(2)
    for row in mx._core._table():
        if "operands" not in row or row["module"]:
            continue
        function = getattr(mx, row["name"])
        operands = {"a": ones, "b": ones} if row["operands"] == 2 else {"a": ones}
        if "float32" not in row["dtypes"]:
            operands = {name: o.astype(mx.bool_) for name, o in operands.items()}
        if "bool" not in row["dtypes"] and "float32" not in row["dtypes"]:
            operands = {name: o.astype(mx.int32) for name, o in operands.items()}
        wanted = function(*operands.values()).tolist()
        assert function(*operands.values(), mx.cpu).tolist() == wanted, row["name"]
        assert function(**operands, stream=mx.cpu).tolist() == wanted, row["name"]
    for function in (mx.isinf, mx.isfinite, mx.isposinf, mx.real, mx.imag, mx.conj, mx.degrees):
        assert function(ones, mx.cpu).tolist() == function(a=ones).tolist()
