"""How much memory the server's process keeps, in which pages, how many files and cores it takes."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from asyncio.sslproto import SSLProtocol
from pathlib import Path

from dermafed.shared.process import HUGE_PAGES

_FILES = 2**16
_TLS_BUFFER = 2**14  # a TLS record's most
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # of mallopt(3)


def take_huge_pages(command: str) -> None:
    """Start this command anew, in the same process, with the environment :data:`HUGE_PAGES`.

    Nothing happens where it runs within another program, or has that environment or one of the user's.

    Args:
        command: the name of the script.
    """
    script = Path(*sys.orig_argv[1:2]).name
    if script == command and not HUGE_PAGES.keys() & os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | HUGE_PAGES)


def return_freed_memory() -> None:
    """Give large blocks of memory back to the system as soon as they are freed, where glibc allocates them.

    It otherwise keeps blocks up to 32 MB for later, in as many heaps as threads: most of a server's memory.
    """
    if hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(_MMAP_THRESHOLD, 2**20)
        library.mallopt(_ARENA_MAX, 2)


def keep_tls_buffers_small() -> None:
    """Let each connection over TLS read 16 KiB at a time, a record of TLS, in place of 256 KiB.

    It keeps a buffer of that size. This is of asyncio's own loop; that of uvloop cannot be told.
    """
    SSLProtocol.max_size = _TLS_BUFFER


def add_up_on_one_core() -> None:
    """Let NumPy use one thread: others that wait for the next short sum keep the cores from the calls.

    Called once NumPy is imported; what the user has set stays.
    """
    from threadpoolctl import threadpool_limits

    if not {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"} & os.environ.keys():
        threadpool_limits(1, "blas")


def open_many_files() -> None:
    """Let this process open as many files as the system allows it to: by default often 1,024.

    A clinic has up to three connections.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
