"""Runs work in several processes, which end when their parent does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from dermafed.shared.errors import DermaFedError

Item = TypeVar("Item")

POLL_SECONDS = 0.5


class Processes:
    """Fresh processes, each started when there is work for it."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def prepare(self, work: Callable[[], None], processes: int) -> None:
        """Starts this many processes with ``work``, such as slow imports, and does not wait for them."""
        for _ in range(processes):
            self._pool.submit(work)

    def run(self, work: Callable[[Item], None], items: Iterable[Item]) -> Iterator[None]:
        """Runs ``work`` on each item, and yields every half second until all are done.

        Args:
            work: the function to call in another process; pickled by name.
            items: its arguments, in order of their start.

        Yields:
            ``None``, so that the caller can show progress.

        Raises:
            Exception: the error of the first failing call.
            DermaFedError: another program ended a process.
        """
        try:
            waiting: set[Future[None]] = {self._pool.submit(work, item) for item in items}
            while waiting:
                done, waiting = wait(waiting, POLL_SECONDS, FIRST_COMPLETED)
                for future in done:
                    future.result()
                yield
        except BrokenProcessPool as error:
            raise DermaFedError(
                "Another program ended a process, perhaps for lack of memory", remedy="Continue with --resume"
            ) from error


@contextmanager
def fresh_processes(most: int) -> Iterator[Processes]:
    """So many processes at a time; an error within the context stops them."""
    # TensorFlow does not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        most, mp_context=context, initializer=_end_with, initargs=(os.getpid(),)
    ) as pool:
        try:
            yield Processes(pool)
        except BaseException:
            _stop(pool)
            raise


def run_in_processes(
    work: Callable[[Item], None], items: Iterable[Item], *, processes: int
) -> Iterator[None]:
    """Runs ``work`` on each item in so many fresh processes, as :meth:`Processes.run` does."""
    with fresh_processes(processes) as pool:
        yield from pool.run(work, items)


def _stop(pool: ProcessPoolExecutor) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    for process in multiprocessing.active_children():
        process.terminate()


def _end_with(parent: int) -> None:
    """Ends this process soon after its parent: an orphan would continue to write into the run.

    Ctrl-C reaches every process of a terminal; only the parent handles it, and stops the others.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
