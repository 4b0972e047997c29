"""Optimizers: rules by which parameters follow their gradients, and schedules of their step sizes.

A training step with a model and its loss::

    loss_and_grad = nn.value_and_grad(model, loss_fn)
    loss, grads = loss_and_grad(x, y)
    optimizer.update(model, grads)
    mx.eval(model.state, optimizer.state)
"""

from lazulite.optimizers.accumulation import *  # noqa: F403
from lazulite.optimizers.averaging import *  # noqa: F403
from lazulite.optimizers.lamb import *  # noqa: F403
from lazulite.optimizers.lbfgs import *  # noqa: F403
from lazulite.optimizers.optimizers import *  # noqa: F403
from lazulite.optimizers.precision import *  # noqa: F403
from lazulite.optimizers.schedulers import *  # noqa: F403

__all__ = [
    "AdaDelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "ExponentialMovingAverage",
    "GradientAccumulation",
    "LAMB",
    "LBFGS",
    "Lion",
    "MixedPrecision",
    "MultiOptimizer",
    "Muon",
    "Optimizer",
    "RMSprop",
    "SGD",
    "clip_grad_norm",
    "cosine_decay",
    "exponential_decay",
    "join_schedules",
    "linear_schedule",
    "step_decay",
]
