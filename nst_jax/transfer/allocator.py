"""Options of the C library's allocator."""

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of malloc.h


def keep_freed_memory() -> None:
    """Gives what is free back to the system, and from now on keeps what is freed for the next array of its size.

    For a process that has compiled, which leaves hundreds of megabytes free, and is about to run: products pack their
    factors into buffers of their own, some thousands an evaluation. By default glibc may give each back to the kernel
    and fault it in again, page by page: up to 28,000 faults an evaluation at 256 px were counted, and 2,000 with these
    options (docs/speed.md). Where the C library is another, nothing is done.
    """
    try:
        library = ctypes.CDLL(None)
        give_back, option = library.malloc_trim, library.mallopt
    except (OSError, TypeError, AttributeError):  # macOS, Windows, musl
        return
    give_back(0)
    option(_MMAP_THRESHOLD, 2**25)  # the largest that is allowed
    option(_TRIM_THRESHOLD, 2**31 - 1)
    option(_TOP_PAD, 2**26)
