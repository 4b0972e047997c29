"""Sizes, axes and counts beyond everything: an exception or a lazy result at once, never a crash, a
hang or a huge block.

The calls of all functions run in a child process with a limit on memory, which says before each
call what it does.
"""

import os
import resource
import subprocess
import sys
import time

import pytest

HUGE = [
    1 << 62,
    2**63,
    2**64,
    -1,
    2**32,
    2**31,
    -(2**32),
    -(2**63),
    2**63 - 1,
    10**30,
    -(10**30),
    1 << 45,
]
CALLS = """mx.zeros({n}) mx.ones({n}) mx.full({n},1) mx.empty((2,{n})) mx.arange({n}) mx.arange(0,{n},1) mx.arange(0.0,float({n})) mx.arange(-{n},{n})
mx.linspace(0,1,{n}) mx.eye({n}) mx.eye(3,{n}) mx.eye(3,3,{n}) mx.tri({n}) mx.tri(3,3,{n}) mx.identity({n}) mx.tril(a,{n}) mx.triu(a,{n}) mx.diag(v,{n})
mx.diag(a,{n}) mx.diagonal(a,{n}) mx.trace(a,{n}) mx.broadcast_to(v,({n},3)) mx.broadcast_to(v,({n},{n},3)) mx.tile(a,{n}) mx.tile(a,({n},{n}))
mx.repeat(a,{n}) mx.repeat(a,{n},0) mx.pad(a,{n}) mx.pad(a,({n},{n})) mx.pad(a,{n},'edge') mx.pad(a,{n},'wrap') mx.pad(a,{n},'reflect')
mx.pad(a,{n},'symmetric') mx.reshape(a,({n},-1)) mx.reshape(a,({n},{n})) mx.unflatten(a,0,({n},-1)) mx.as_strided(a,({n},)) mx.as_strided(a,(3,),({n},))
mx.as_strided(a,(3,),(1,),{n}) mx.split(a,{n}) mx.split(a,[{n}]) mx.roll(a,{n}) mx.roll(a,{n},0) mx.roll(a,1,{n}) mx.take(a,{n}) mx.take(a,1,{n}) mx.sum(a,axis={n})
mx.sum(a,axis=(0,{n})) mx.argmax(a,{n}) mx.softmax(a,{n}) mx.expand_dims(a,{n}) mx.squeeze(a,{n}) mx.transpose(a,({n},0)) mx.moveaxis(a,{n},0)
mx.swapaxes(a,0,{n}) mx.concatenate([a,a],{n}) mx.stack([a,a],{n}) mx.flatten(a,{n}) mx.flip(a,{n}) mx.median(a,{n}) mx.var(a,ddof={n}) mx.unstack(a,axis={n})
mx.tensordot(a,a,{n}) mx.hanning({n}) mx.hamming({n}) mx.blackman({n}) mx.bartlett({n}) mx.random.normal(({n},)) mx.random.uniform(shape={n})
mx.random.randint(0,{n},(3,)) mx.random.randint(0,9,({n},)) mx.random.bits({n}) mx.random.split(k,{n}) mx.random.bernoulli(0.5,({n},)) mx.random.gumbel({n})
mx.random.laplace({n}) mx.random.truncated_normal(0.0,1.0,({n},)) mx.random.categorical(v,num_samples={n}) mx.random.categorical(v,axis={n})
mx.random.permutation({n}) mx.random.permutation(v,{n}) v[{n}] v[{n}:] v[:{n}] v[::{n}] v[{n}::-1] a[0,::{n}] v.reshape({n}) v.at[{n}].add(1) v.at[::{n}].add(1)
mx.slice(a,mx.array([0]),(0,),({n},3)) mx.slice(a,mx.array([0]),({n},),(1,3)) mx.array(range({n})) mx.broadcast_shapes(({n},1),(1,{n})) mx.meshgrid(big,big)
mx.outer(big,big) mx.kron(big,big) big[:,None]+big mx.matmul(big[:,None],big[None]) mx.concatenate([big]*8) mx.take(v,big32) 
mx.stack([big]*3) mx.tile(big,(9,9)) mx.where(big[:,None]>0,big,big) mx.view(wide,mx.int8) mx.zeros((0,{n})) mx.zeros((0,{n},{n})).sum(1)
mx.divmod(a,{n}) a<<{n} a+{n} a.astype(mx.int32)+{n} mx.clip(a,-{n},{n}) mx.round(a,{n}) 
  """.split() + [
    "mx.vmap(lambda x: x+big)(big)",
    "mx.vmap(lambda x: mx.zeros({n})+x)(v)",
    "mx.grad(lambda x: mx.broadcast_to(x,({n},3)).sum())(v)",
    "mx.compile(lambda x: mx.repeat(x,{n}))(v)",
]


def calls():
    for text in CALLS:
        for n in HUGE if "{n}" in text else HUGE[:1]:
            yield text.replace("{n}", f"({n})" if n < 0 else str(n))


def child():
    import lazulite.core as mx

    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    mx.set_memory_limit(1 << 30)
    scope = {
        "mx": mx,
        "a": mx.ones((2, 3)),
        "v": mx.ones(3),
        "k": mx.random.key(0),
        "big": mx.ones((1 << 61,), mx.int8),
        "big32": mx.zeros((1 << 59,), mx.int32),
        "wide": mx.zeros((1 << 59,), mx.float64),
    }
    for text in calls():
        print(text, flush=True)
        began = time.process_time()
        try:
            made = eval(text, dict(scope))
            for one in made if isinstance(made, (list, tuple)) else [made]:
                if isinstance(one, mx.array):
                    assert all(n >= 0 for n in one.shape), one.shape
                    assert one.size < 2**63 and one.nbytes < 2**63
                    mx.eval(one)
        except (TypeError, ValueError, IndexError, MemoryError) as error:
            assert str(error), "an error without a text"
        assert time.process_time() - began < 2, "slow"
    print("done")


def test_no_size_is_too_large_for_an_answer():
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", __file__],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ,
    )
    assert done.returncode == 0 and done.stdout.endswith("done\n"), (
        done.stdout[-200:] + done.stderr[-2000:]
    )


@pytest.mark.parametrize(
    "text",
    [
        "mx.zeros(1 << 62)",
        "mx.broadcast_to(v, (1 << 62, 3))",
        "mx.tile(v, 1 << 61)",
        "mx.repeat(v, 1 << 62)",
        "mx.pad(v, 1 << 62)",
        "mx.eye(1 << 31)",
        "mx.tri(1 << 31)",
        "mx.arange(1 << 62)",
        "mx.arange(2**63)",
        "mx.random.normal((1 << 62,))",
        "mx.full((2**63,), 1)",
        "mx.outer(mx.ones(1 << 31), mx.ones(1 << 31))",
        "mx.concatenate([mx.zeros(1 << 60)] * 4)",
        "mx.linspace(0, 1, 1 << 62)",
        "mx.ones((1 << 31, 1)) + mx.ones((1, 1 << 31))",
        "mx.ones((1 << 31, 1)) @ mx.ones((1, 1 << 31))",
    ],
)
def test_a_size_beyond_63_bits_is_a_memory_error_at_the_call_that_names_the_function(text):
    import lazulite.core as mx

    scope = {"mx": mx, "v": mx.ones(3)}
    with pytest.raises(MemoryError) as raised:
        eval(text, scope)
    name = text.split("(")[0].split(".")[-1]
    if text.startswith("mx.ones((1"):
        name = "add" if "+" in text else "matmul"
    assert str(raised.value).startswith(f"[{name}]"), raised.value


def test_a_size_that_memory_does_not_have_is_a_memory_error_when_evaluated():
    import lazulite.core as mx

    for make in (
        lambda: mx.ones(1 << 42) + 1,
        lambda: mx.eye(1 << 24),
        lambda: mx.random.normal((1 << 45,)),
        lambda: mx.zeros(1 << 45),
    ):
        a = make()
        began = time.process_time()
        with pytest.raises(MemoryError, match="out of memory"):
            mx.eval(a)
        assert time.process_time() - began < 1
    assert mx.ones(3).sum().item() == 3


if __name__ == "__main__":
    child()
