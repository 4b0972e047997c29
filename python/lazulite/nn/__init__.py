"""Neural networks: modules, layers, activations, losses and initialisers.

A model is a class that derives from :class:`Module`, holds its layers as attributes and reads like
its formula in ``__call__``::

    class MLP(nn.Module):
        def __init__(self, dims):
            super().__init__()
            self.layers = [nn.Linear(a, b) for a, b in zip(dims, dims[1:])]

        def __call__(self, x):
            for layer in self.layers[:-1]:
                x = nn.relu(layer(x))
            return self.layers[-1](x)
"""

from lazulite.nn import init, losses
from lazulite.nn.layers import *  # noqa: F401,F403 (the names are listed in nn/layers/__init__.py)
from lazulite.nn.layers import __all__ as _layers
from lazulite.nn.layers import activations
from lazulite.nn.module import Module
from lazulite.nn.transform import value_and_grad

__all__ = ["Module", "activations", "init", "losses", "value_and_grad", *_layers]
