"""Sorting, orders, parts and searches. Each framework spells them its own way, and gives indices of
equal elements and parts in an order of its own: compared is what they must agree on."""

from cases import Input, Work, case

MILLION = 10**6


def ordered(name, dtype, shape, call, agreed=None, low=-1.0, high=1.0):
    """A case from `call(api, x)`; what is compared is agreed(api, x, result), or the result."""

    @case("sort", name)
    def make(api):
        if api.name == "numexpr":
            return None
        x = Input(dtype, *shape, low=low, high=high).make(api, 0)
        run = api.run(lambda x: call(api, x), x)
        if agreed is None:
            return Work(run, [x])
        return Work(run, [x], outputs=lambda: agreed(api, x, run()))

    return make


def is_torch(api):
    return api.name == "torch"


def sort(axis=-1):
    def call(api, x):
        return api.torch.sort(x, dim=axis)[0] if is_torch(api) else api.lib.sort(x, axis=axis)

    return call


def argsort(axis=-1):
    def call(api, x):
        return api.torch.argsort(x, dim=axis) if is_torch(api) else api.lib.argsort(x, axis=axis)

    return call


def partition(kth):
    """The smallest, the kth among them; PyTorch's topk gives as many."""

    def call(api, x):
        if is_torch(api):
            return api.torch.topk(x, api.n(kth) + 1, largest=False, sorted=False)[0]
        return api.lib.partition(x, api.n(kth))

    return call


def topk(k):
    def call(api, x):
        k_ = min(k, x.shape[-1])
        if is_torch(api):
            return api.torch.topk(x, k_)[0]
        if api.name == "jax":
            return api.jax.lax.top_k(x, k_)[0]
        if api.name in ("numpy", "reference"):
            return api.lib.partition(x, x.shape[-1] - k_)[..., x.shape[-1] - k_ :]
        return api.lib.topk(x, k_)

    return call



def elements(api, x, where):
    if is_torch(api):
        return api.wait(api.torch.gather(x, -1, where))
    return api.wait(api.lib.take_along_axis(x, where, axis=-1))


def smallest(kth):
    return lambda api, x, parts: api.wait(sort()(api, parts[..., : api.n(kth) + 1]))


def search(api, x):
    return api.lib.searchsorted(sort()(api, x[::1000]), x)


for dtype, high in (("float32", 1.0), ("float64", 1.0), ("int32", 2**30), ("float16", 1.0)):
    ordered(f"sort of 1e6 {dtype}", dtype, (MILLION,), sort(), low=-high, high=high)
    ordered(
        f"argsort of 1e6 {dtype}", dtype, (MILLION,), argsort(), elements, low=-high, high=high
    )
ordered("sort of rows, 1024 x 4096 float32", "float32", (1024, 4096), sort())
ordered("sort of columns, 4096 x 1024 float32", "float32", (4096, 1024), sort(0))
ordered("sort of rows of 16, 65536 x 16 float32", "float32", (65536, 16), sort())
for few in (3, 8):
    shape = (65536, few)
    ordered(f"sort of rows of {few}, 65536 x {few} float32", "float32", shape, sort())
    ordered(
        f"argsort of rows of {few}, 65536 x {few} float32", "float32", shape, argsort(), elements
    )
ordered("sort of columns of 5, 5 x 65536 float32", "float32", (5, 65536), sort(0))
ordered(
    "the 2 largest of rows of 8, 65536 x 8 float32",
    "float32",
    (65536, 8),
    topk(2),
    lambda api, x, found: api.wait(sort()(api, found)),
)
ordered("argsort of rows, 1024 x 4096 float32", "float32", (1024, 4096), argsort(), elements)
ordered(
    "partition of 1e6 float32 in the middle",
    "float32",
    (MILLION,),
    partition(MILLION // 2),
    smallest(MILLION // 2),
)
ordered(
    "the 50 largest of rows, 64 x 50000 float32",
    "float32",
    (64, 50000),
    topk(50),
    lambda api, x, found: api.wait(sort()(api, found)),
)
ordered("searchsorted of 1e6 in 1000 float32", "float32", (MILLION,), search)
