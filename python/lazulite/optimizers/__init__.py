"""Optimizers: rules by which parameters follow their gradients, and schedules of their step sizes.

A training step with a model and its loss::

    loss_and_grad = nn.value_and_grad(model, loss_fn)
    loss, grads = loss_and_grad(x, y)
    optimizer.update(model, grads)
    mx.eval(model.state, optimizer.state)
"""

from lazulite.optimizers import optimizers, schedulers
from lazulite.optimizers.optimizers import *  # noqa: F401,F403
from lazulite.optimizers.schedulers import *  # noqa: F401,F403

__all__ = [*optimizers.__all__, *schedulers.__all__]
