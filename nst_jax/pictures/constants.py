"""What all agree on about pictures; sides in pixels. It imports nothing, since the command line's `--help` needs it."""

MIN_SIDE = 32
"""VGG-19 halves a picture five times, and 32 leaves its last layer one position."""
MAX_SIDE = 65_535
"""The most that a JPEG or a GIF can have."""
MAX_PIXELS = 100_000_000
"""Of an input picture, unless more is asked for."""
WRITTEN_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535}
"""What these encoders take."""
TRANSPARENCY = ("white", "keep")
"""What becomes of a photograph's transparency."""
BITS = (8, 16)
"""A channel, of pictures that are written."""
IMAGENET_MEAN = (123.68, 116.779, 103.939)
"""Of ImageNet's pixels, RGB, in 8-bit levels: black, for the network."""
