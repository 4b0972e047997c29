"""What all tests need."""

import signal

import pytest

import lazulite.core as mx

# A shell that runs the tests with & ignores Ctrl-C for them and for every process they start: those
# that test what it does would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=[1, 2])
def threads(request):
    """Runs a test with so many."""
    before = mx.num_threads()
    mx.set_num_threads(request.param)
    yield request.param
    mx.set_num_threads(before)
