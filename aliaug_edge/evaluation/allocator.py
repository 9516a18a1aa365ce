"""The C library's memory manager, told to keep what a training step frees for the next one."""

from __future__ import annotations

import ctypes
import platform

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3  # of mallopt(3), in glibc's <malloc.h>
MIB = 1 << 20


def keep_freed_memory() -> bool:
    """Stop glibc from returning large blocks to the system; whether it could be told to.

    A step of a detector takes and frees the same few megabytes again and again. Given back, every
    one of their pages is fetched and cleared anew. The process stays as large as it ever was.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(
        mallopt(MMAP_THRESHOLD, 1024 * MIB)
        and mallopt(TRIM_THRESHOLD, 2047 * MIB)  # an int's largest
        and mallopt(TOP_PAD, 64 * MIB)
    )
