"""The layers, one file for each kind."""

from lazulite.nn.layers import (
    activations,
    containers,
    dropout,
    embedding,
    linear,
    normalization,
)
from lazulite.nn.layers.activations import *  # noqa: F401,F403
from lazulite.nn.layers.containers import *  # noqa: F401,F403
from lazulite.nn.layers.dropout import *  # noqa: F401,F403
from lazulite.nn.layers.embedding import *  # noqa: F401,F403
from lazulite.nn.layers.linear import *  # noqa: F401,F403
from lazulite.nn.layers.normalization import *  # noqa: F401,F403

__all__ = [
    *activations.__all__,
    *containers.__all__,
    *dropout.__all__,
    *embedding.__all__,
    *linear.__all__,
    *normalization.__all__,
]
