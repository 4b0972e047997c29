"""Whether there is a CUDA back end."""

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether the CUDA back end is there: never.

    >>> mx.cuda.is_available()
    False
    """
    return False
