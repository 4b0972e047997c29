"""What all tests need."""

import signal

# A shell that runs the tests with & ignores Ctrl-C for them and for every process they start: those
# that test what it does would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
