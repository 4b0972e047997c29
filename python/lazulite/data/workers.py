"""Threads that work ahead of who takes their results, in order."""

from __future__ import annotations

import threading
import weakref
from typing import Any, Callable, Iterator, Optional


class _Shared:
    """What the threads and the consumer share; it does not hold the consumer, so that threads end
    when nobody waits for them any more."""

    def __init__(self, tasks: Iterator[Any], work: Callable[[Any], Any], ahead: int) -> None:
        self.tasks, self.work, self.ahead = tasks, work, ahead
        self.pulling = threading.Lock()  # of who takes the next task: tasks are taken in order
        self.changed = threading.Condition()
        self.taken = 0  # tasks
        self.given = 0  # results
        self.end: Optional[int] = None  # how many results there will be
        self.stopped = False
        self.results: dict[int, tuple[Any, Optional[BaseException]]] = {}

    def stop(self) -> None:
        with self.changed:
            self.stopped = True
            self.results.clear()
            self.changed.notify_all()

    def run(self) -> None:
        while True:
            with self.pulling:
                with self.changed:
                    while not self.stopped and self.taken - self.given >= self.ahead:
                        self.changed.wait()
                    if self.stopped or self.end is not None:
                        return
                    number = self.taken
                try:
                    task = next(self.tasks)
                except StopIteration:
                    return self._finish(number)
                except BaseException as error:
                    self._finish(number + 1)
                    return self._give(number, None, error)
                with self.changed:
                    self.taken += 1
            try:
                self._give(number, self.work(task), None)
            except BaseException as error:
                self._give(number, None, error)

    def _finish(self, end: int) -> None:
        with self.changed:
            self.end = end
            self.changed.notify_all()

    def _give(self, number: int, result: Any, error: Optional[BaseException]) -> None:
        with self.changed:
            if not self.stopped:
                self.results[number] = (result, error)
            self.changed.notify_all()


class Ahead(Iterator[Any]):
    """``map(work, tasks)`` by threads, in order, with at most ``ahead`` results not yet taken.

    An exception of ``tasks`` or of ``work`` is raised where its result would come, and ends the
    iteration. The threads end with it, with :meth:`close`, or when this object is no longer held.
    """

    def __init__(
        self, tasks: Iterator[Any], work: Callable[[Any], Any], workers: int, ahead: int
    ) -> None:
        self._shared = shared = _Shared(tasks, work, ahead)
        self.close = weakref.finalize(self, shared.stop)
        for i in range(workers):
            threading.Thread(
                target=shared.run, name=f"lazulite data worker {i}", daemon=True
            ).start()

    def __next__(self) -> Any:
        shared = self._shared
        with shared.changed:
            while shared.given not in shared.results:
                if shared.stopped or (shared.end is not None and shared.given >= shared.end):
                    raise StopIteration
                shared.changed.wait()
            result, error = shared.results.pop(shared.given)
            shared.given += 1
            shared.changed.notify_all()
        if error is not None:
            self.close()
            raise error
        return result
