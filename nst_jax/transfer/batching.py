"""How the lanes of a sweep are run: how many at once, in how much memory, and when one is over."""

from dataclasses import dataclass

from nst_jax.transfer.fields import check, setting, size_in_bytes


@dataclass(frozen=True)
class Batching:
    """How the lanes of a sweep are run. Raises InputError, naming the option, for values that are not allowed."""

    batch: int | None = setting(
        None, "begin", int, "lanes at once (default: what fits and is fast)", range=(1, 100_000), metavar="LANES"
    )
    memory: int | None = setting(
        None, "begin", size_in_bytes, "memory to use on a device, e.g. 4GB (default: most of what is free)",
        range=(1, 10**18), metavar="SIZE",
    )  # fmt: skip
    tolerance: float = setting(
        0.0, "begin", float, "end a lane whose loss fell by less than this part in 20 evaluations; 0 is never",
        range=(0, 1),
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)
