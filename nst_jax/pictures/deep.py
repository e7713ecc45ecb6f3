"""Color of 16 bits a channel, with alpha or without, into PNG and TIFF files, which Pillow does not write.

Of each pixel the difference from the one to its left is kept, which packs better. The same array gives the same bytes.
"""

import struct
import zlib
from itertools import accumulate
from pathlib import Path

import numpy as np
from PIL import PngImagePlugin, TiffImagePlugin

_ROWS = 64  # that are packed at a time; of a TIFF they are a strip
_COLORS, _SUB = {3: 2, 4: 6}, 1  # of PNG: the kind of its colors, by the number of channels, and the filter
_DEFLATE, _HORIZONTAL, _PHOTOMETRIC_RGB, _ALPHA = 8, 2, 2, 2  # of TIFF; alpha that colors are not multiplied with


def write_png(path: Path, pixels: np.ndarray, texts: PngImagePlugin.PngInfo) -> None:
    """Writes a PNG.

    Args:
      path: the file.
      pixels: [height, width, 3] uint16, RGB; or [height, width, 4], RGBA.
      texts: chunks that stand before the pixels, in the order given.
    """
    height, width, channels = pixels.shape
    pixel, row = 2 * channels, 2 * channels * width  # in bytes
    packer = zlib.compressobj()
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        PngImagePlugin.putchunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, _COLORS[channels], 0, 0, 0))
        for name, data, *_ in texts.chunks:
            PngImagePlugin.putchunk(file, name, data)
        for start in range(0, height, _ROWS):
            rows = pixels[start : start + _ROWS].astype(">u2", order="C").view(np.uint8).reshape(-1, row)
            filtered = np.full((len(rows), 1 + row), _SUB, np.uint8)
            filtered[:, 1 : 1 + pixel] = rows[:, :pixel]
            np.subtract(rows[:, pixel:], rows[:, :-pixel], out=filtered[:, 1 + pixel :])
            if packed := packer.compress(filtered.data):
                PngImagePlugin.putchunk(file, b"IDAT", packed)
        PngImagePlugin.putchunk(file, b"IDAT", packer.flush())
        PngImagePlugin.putchunk(file, b"IEND")


def write_tiff(path: Path, pixels: np.ndarray) -> None:
    """Writes a TIFF.

    Args:
      path: the file.
      pixels: [height, width, 3] uint16, RGB; or [height, width, 4], RGBA.
    """
    height, width, channels = pixels.shape
    strips = []
    for start in range(0, height, _ROWS):
        rows = pixels[start : start + _ROWS].astype("<u2", order="C")
        rows[:, 1:] -= rows[:, :-1]
        strips.append(zlib.compress(rows.data))
    lengths = [len(strip) for strip in strips]
    directory = TiffImagePlugin.ImageFileDirectory_v2()  # in little-endian order
    directory[TiffImagePlugin.IMAGEWIDTH] = width
    directory[TiffImagePlugin.IMAGELENGTH] = height
    directory[TiffImagePlugin.BITSPERSAMPLE] = (16,) * channels
    directory[TiffImagePlugin.COMPRESSION] = _DEFLATE
    directory[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = _PHOTOMETRIC_RGB
    directory[TiffImagePlugin.SAMPLESPERPIXEL] = channels
    directory[TiffImagePlugin.PREDICTOR] = _HORIZONTAL
    if channels == 4:
        directory[TiffImagePlugin.EXTRASAMPLES] = _ALPHA
    directory[TiffImagePlugin.ROWSPERSTRIP] = _ROWS
    directory[TiffImagePlugin.STRIPBYTECOUNTS] = tuple(lengths)
    directory[TiffImagePlugin.STRIPOFFSETS] = tuple(accumulate(lengths[:-1], initial=0))  # behind the directory
    with path.open("wb") as file:
        directory.save(file)
        file.writelines(strips)
