"""Options of the C library's allocator."""

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of malloc.h


def keep_freed_memory() -> None:
    """Keeps memory that was freed in the process, for the next array of its size.

    Products pack their factors into buffers of their own, some thousands an evaluation. By default glibc may give each
    back to the kernel and fault it in again, page by page: up to 28,000 faults an evaluation at 256 px were counted,
    and 2,000 with these options (docs/speed.md). Where the C library is another, nothing is done.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # macOS, Windows, musl
        return
    mallopt(_MMAP_THRESHOLD, 2**25)  # the largest that is allowed
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_TOP_PAD, 2**26)
