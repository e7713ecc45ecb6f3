"""What TensorBoard's own reader finds in a folder of event files, for tests; they are skipped where it is not there."""

from pathlib import Path
from typing import Any

import pytest


def accumulated(folder: Path) -> Any:
    """TensorBoard's `EventAccumulator` of a folder, all of it."""
    pytest.importorskip("tensorboardX", reason="needs tensorboardX, the extra tensorboard")
    reason = "needs TensorBoard's reader, the package tensorboard"
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason=reason)
    return reader.EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of each event, by tag, in the order in which they were written."""
    found = accumulated(folder)
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def pictures(folder: Path) -> list[tuple[int, bytes]]:
    """(step, PNG) of each."""
    found = accumulated(folder)
    return [(e.step, e.encoded_image_string) for tag in found.Tags()["images"] for e in found.Images(tag)]
