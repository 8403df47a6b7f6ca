"""How the kernels are compiled: by numba, at their first call, kept on disk where a folder can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# Sums may be reordered and fused, so that they vectorise; infinities and NaN keep their meaning.
_FAST_MATH = {"contract", "reassoc", "nsz"}


def compiled(kernel: Kernel) -> Kernel:
    """Compile a kernel to machine code that runs on one thread and without the GIL.

    The code is cached beside the source, else in the user's cache folder; where neither can be written (a
    read-only container without a home) each process compiles anew. numba judges a cached kernel by the time
    of its own file alone: after editing one that another file calls, delete ``__pycache__``.
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": _FAST_MATH, "error_model": "numpy"}
    try:
        return cast(Kernel, njit(kernel, cache=True, **options))
    except RuntimeError:  # numba found no folder for its cache
        return cast(Kernel, njit(kernel, **options))
