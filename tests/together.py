"""Threads that begin at once."""

import threading


def together(count, work):
    """Runs work(k) in threads that begin at once; raises what one of them raised."""
    barrier, errors = threading.Barrier(count), []

    def run(k):
        barrier.wait()
        try:
            work(k)
        except BaseException as e:  # noqa: BLE001
            errors.append(e)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
