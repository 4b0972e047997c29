"""Files, warm: read whole, cast on the way, many small arrays. In NumPy's formats; PyTorch maps
files of its own."""

import atexit
import os
import shutil
import tempfile

import numpy as np

from cases import Work, case

FOLDER = None


def place(name):
    global FOLDER
    if FOLDER is None:
        FOLDER = tempfile.mkdtemp(prefix="bench")
        atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
    return os.path.join(FOLDER, name)


def written(api, name, arrays):
    """The path of a file with `arrays`, a dict; of one array, without a name, "" is it."""
    one = list(arrays) == [""]
    if api.name == "torch":
        path = place(name + ".pt")
        tensors = {k: api.torch.from_numpy(v) for k, v in arrays.items()}
        api.torch.save(tensors[""] if one else tensors, path)
    elif one:
        path = place(name + ".npy")
        np.save(path, arrays[""])
    else:
        path = place(name + ".npz")
        np.savez(path, **arrays)
    return path


def loaded(api, path):
    if hasattr(api, "mx"):
        return api.mx.load(path)
    if api.name == "torch":
        return api.torch.load(path, mmap=True)
    found = np.load(path)
    if path.endswith(".npz"):
        found = {k: found[k] for k in found.files}
    if api.name == "jax":
        make = api.jax.numpy.asarray
        return {k: make(v) for k, v in found.items()} if isinstance(found, dict) else make(found)
    return found


def one_array(room, label, dtype, **about):
    @case(room, label, tolerance=1e-3, **about)
    def make(api):
        if api.name == "numexpr":
            return None
        values = api.values("float32", (api.n(1 << 24),)).astype(np.float32)
        path = written(api, label.replace(" ", "-").replace(",", ""), {"": values})

        def run():
            a = loaded(api, path)
            # what is mapped is read by an addition
            return api.wait(api.cast(a, dtype) if dtype else a + 1)

        return Work(run, [values])


one_array("files", "load of 64 MB of float32, plus 1", None)
one_array("files", "load of 64 MB of float32 as float16", "float16")
one_array("memory", "64 MB of float32 loaded as float16", "float16", memory=True)


@case("files", "load of 1,000 arrays of 4 KB", tolerance=1e-6)
def small_arrays(api):
    if api.name == "numexpr":
        return None
    values = {f"a{i}": np.full(api.n(1024), i, np.float32) for i in range(api.count(1000))}
    path = written(api, "small", values)

    def run():
        found = loaded(api, path)
        return api.wait([found[k] for k in values])

    return Work(run, list(values.values()))
