"""Work spread over processes, one thread of the backend each, which end when their parent does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from dermafed.shared.errors import DermaFedError

Item = TypeVar("Item")

POLL_SECONDS = 0.5


def run_in_processes(
    work: Callable[[Item], None], items: Iterable[Item], *, processes: int
) -> Iterator[None]:
    """Runs ``work`` on each item in fresh processes, and yields now and then until all are done.

    Args:
        work: called in another process; pickled by name.
        items: in order of their start.
        processes: how many at a time.

    Yields:
        Nothing, every half second, so that the caller can show progress.

    Raises:
        Exception: what the first failing call raised; the others are stopped.
        DermaFedError: a process was ended from outside.
    """
    # TensorFlow does not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_die_with, initargs=(os.getpid(),)
    ) as pool:
        waiting: set[Future[None]] = {pool.submit(work, item) for item in items}
        try:
            while waiting:
                done, waiting = wait(waiting, POLL_SECONDS, FIRST_COMPLETED)
                for future in done:
                    future.result()
                yield
        except BrokenProcessPool as error:
            raise DermaFedError(
                "A process was ended from outside, perhaps for want of memory", remedy="Go on with --resume"
            ) from error
        except BaseException:
            _stop(pool)
            raise


def _stop(pool: ProcessPoolExecutor) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    for process in multiprocessing.active_children():
        process.terminate()


def _die_with(parent: int) -> None:
    """Ends this process soon after its parent: an orphan would go on writing into the run.

    Ctrl-C reaches every process of a terminal; only the parent answers it, and stops the others.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
