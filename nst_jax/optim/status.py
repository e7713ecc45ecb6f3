"""How far the optimization of a lane has come."""

from enum import IntEnum


class Status(IntEnum):
    """The state of a lane; optimizers keep it as int32, and `Status(value).message` says it in words.

    Example:
      >>> nst.Status(1).name, nst.Status.CONVERGED.message
      ('CONVERGED', 'no further decrease is to be had in this precision')
    """

    RUNNING = 0, "its loss was still falling"
    CONVERGED = 1, "no further decrease is to be had in this precision"
    NOT_FINITE = 2, "the loss is not finite; the last good image is kept"
    STALLED = 3, "its loss fell by less than the tolerance asks for"

    message: str

    def __new__(cls, value: int, message: str) -> "Status":
        """A member of this value, with its message."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.message = message
        return member


# Plain numbers, as traced code needs them.
RUNNING, CONVERGED, NOT_FINITE, STALLED = (status.value for status in Status)
