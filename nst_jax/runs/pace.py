"""How often something may be done that is not the run's own work, so that it takes little of the run's time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

PART = 0.05  # of all time


class Pace:
    """Spreads work whose cost is known once it has been done: it is due when it will have had its part of the time."""

    def __init__(self, least: float = 0.0) -> None:
        """At first it is due.

        Args:
          least: seconds from the end of one time to the next, however little it costs.
        """
        self._least, self._next = least, float("-inf")

    @property
    def due(self) -> bool:
        """Whether it may be done now."""
        return time.monotonic() >= self._next

    @contextmanager
    def spent(self) -> Iterator[None]:
        """What is done inside of it counts, waiting for others too."""
        begun = time.monotonic()
        yield
        ended = time.monotonic()
        self._next = ended + max(self._least, (ended - begun) * (1 / PART - 1))
