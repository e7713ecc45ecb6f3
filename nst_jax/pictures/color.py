"""Which colors a file's numbers are, and those colors in sRGB.

A file says it by an ICC profile, which littleCMS converts; or by the coordinates of its primary colors and a transfer
function, or names for both, which plain formulae convert in float32: decode, multiply by a matrix, encode.
"""

import struct
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from nst_jax.pictures import exif

Transfer = Callable[[np.ndarray], np.ndarray]
"""From a file's numbers, 0..1, to light, 0..1."""

_ROWS = 64  # that are converted at a time: the arrays between are large
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_NEAR = 0.005  # coordinates as encoders round them
_D65 = (0.3127, 0.3290)


def _srgb_decoded(values: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _srgb_encoded(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _power(exponent: float) -> Transfer:
    if not 0.1 <= exponent <= 10:
        raise ValueError(f"an exponent of {exponent:g}")
    return lambda values: values**exponent


def _table(values: tuple[float, ...]) -> Transfer:
    """TIFF's TransferFunction: samples of one curve, or of three one after another; 65535 is all light."""
    curves = np.reshape(values, (3 if len(values) % 3 == 0 else 1, -1)) / 65535
    if curves.shape[1] < 2:
        raise ValueError("a transfer function of one value")
    places = np.linspace(0, 1, curves.shape[1])
    return lambda numbers: np.stack(
        [np.interp(numbers[..., channel], places, curves[channel % len(curves)]) for channel in range(3)], -1
    )


class Space(NamedTuple):
    """Colors by their primaries and a transfer function.

    Attributes:
      primaries: x and y in CIE 1931 of white, red, green and blue.
      transfer: see `Transfer`.
    """

    primaries: tuple[float, ...]
    transfer: Transfer

    def color(self, picture: Image.Image) -> np.ndarray:
        """A picture of mode L, RGB or CMYK (by Pillow's plain formula) as `[height, width, 3] float32, 0..1, sRGB`."""
        image = np.array(picture.convert("RGB"), np.float32)
        image /= 255  # in place: a large picture takes much memory
        return self._converted(image)

    def deep_color(self, values: np.ndarray) -> np.ndarray:
        """RGB or CMYK, `[height, width, 3 or 4] uint16`, as `[height, width, 3] float32, 0..1, sRGB`."""
        image = values.astype(np.float32)
        image /= 65535
        if image.shape[-1] == 4:
            image = (1 - image[..., :3]) * (1 - image[..., 3:])
        return self._converted(image)

    def grey(self, values: np.ndarray) -> np.ndarray:
        """Grey, `[height, width] float32, 0..1`, as `[height, width, 3] float32, 0..1, sRGB`."""
        return self._converted(np.repeat(values[..., None], 3, -1))

    def _converted(self, image: np.ndarray) -> np.ndarray:
        if self != SRGB:
            matrix = _to_srgb(self.primaries).astype(np.float32)
            for row in range(0, len(image), _ROWS):
                rows = image[row : row + _ROWS]
                rows[...] = _srgb_encoded(np.clip(self.transfer(rows) @ matrix.T, 0, 1))
        return image


class Profile(NamedTuple):
    """Colors by an ICC profile, which littleCMS converts in 8 bits, by perceptual intent.

    Attributes:
      transform: to sRGB.
      mode: of the pictures that it takes.
    """

    transform: ImageCms.ImageCmsTransform
    mode: str

    def color(self, picture: Image.Image) -> np.ndarray:
        """As `Space.color`."""
        converted = ImageCms.applyTransform(picture.convert(self.mode), self.transform)
        assert converted is not None  # only when done in place
        image = np.array(converted, np.float32)
        image /= 255
        return image

    def deep_color(self, values: np.ndarray) -> np.ndarray:
        """As `Space.deep_color`, rounded to 8 bits."""
        rounded = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
        return self.color(Image.frombytes(self.mode, rounded.shape[1::-1], rounded.tobytes()))

    def grey(self, values: np.ndarray) -> np.ndarray:
        """As `Space.grey`, through a curve of 256 points: littleCMS has no 16-bit grey here."""
        curve = self.color(Image.fromarray(np.arange(256, dtype=np.uint8)[None]))[0]
        image = np.empty((*values.shape, 3), np.float32)
        for channel in range(3):
            image[..., channel] = np.interp(values, np.linspace(0, 1, 256), curve[:, channel])
        return image


SRGB = Space((*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06), _srgb_decoded)
ADOBE_RGB = Space((*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), _power(563 / 256))  # Adobe RGB (1998), 4.3.1

_CICP_PRIMARIES = {  # ITU-T H.273, table 2
    1: SRGB.primaries,
    2: SRGB.primaries,  # unspecified
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display P3
}
_CICP_TRANSFERS = {  # table 3; video's are curves of cameras, but displays, and so browsers, show it with sRGB's
    **dict.fromkeys((1, 2, 6, 13, 14, 15), _srgb_decoded),
    4: _power(2.2),
    5: _power(2.8),
    8: _power(1),
}
_CICP_NAMES = {16: "PQ, for HDR displays", 18: "HLG, for HDR displays"}


def meaning(
    mode: str,
    cicp: tuple[int, int] | None,
    profile: bytes | None,
    chunks: Mapping[bytes, bytes],
    tags: Mapping[int, tuple[float, ...]],
    notes: list[str],
) -> Space | Profile:
    """What a picture's numbers are, by the first of its words that can be understood.

    Args:
      mode: L, RGB or CMYK, Pillow's names.
      cicp: the codes of primaries and transfer by ITU-T H.273 that come before the profile, if any.
      profile: the ICC profile; b"": there is none; None: there was one, too damaged to unpack.
      chunks: a PNG's color chunks, by name.
      tags: EXIF entries, by tag.
      notes: gets remarks for users appended.

    Returns:
      sRGB when nothing is said.
    """
    return (
        _by_cicp(mode, cicp, profile, notes)
        or _by_profile(mode, profile, notes)
        or _by_chunks(mode, chunks, notes)
        or _by_tags(mode, tags, notes)
        or SRGB
    )


def _by_cicp(mode: str, cicp: tuple[int, int] | None, profile: bytes | None, notes: list[str]) -> Space | None:
    if cicp is None or mode == "CMYK":
        return None
    primaries, transfer = cicp
    if primaries in _CICP_PRIMARIES and transfer in _CICP_TRANSFERS:
        return Space(_CICP_PRIMARIES[primaries], _CICP_TRANSFERS[transfer])
    if not profile:  # which is made for those who do not understand the codes
        name = _CICP_NAMES.get(transfer, f"of kind {primaries}/{transfer}")
        notes.append(f"its colors are {name}, and not converted to sRGB; read as they are")
    return None


def _by_profile(mode: str, profile: bytes | None, notes: list[str]) -> Profile | None:
    if profile == b"":
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile or b""))
        space = source.profile.xcolor_space.strip()  # pyright: ignore[reportAttributeAccessIssue]
        made_for = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}[space]
        if made_for != mode and (made_for, mode) != ("RGB", "L"):  # grey with an RGB profile is common
            raise ValueError(f"a profile for {made_for}")
        # littleCMS' shortcut is off by up to ten levels for grey in the dark; for color it is ten times as fast.
        flags = ImageCms.Flags.NOOPTIMIZE if made_for == "L" else ImageCms.Flags(0)
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), made_for, "RGB", flags=flags)
    except Exception:  # ImageCms, too, raises many kinds
        notes.append("its ICC profile is damaged or made for another kind of picture; ignored")
        return None
    return Profile(transform, made_for)


def _by_chunks(mode: str, chunks: Mapping[bytes, bytes], notes: list[str]) -> Space | None:
    if mode == "CMYK" or b"sRGB" in chunks or not chunks.keys() & {b"gAMA", b"cHRM"}:
        return SRGB if b"sRGB" in chunks else None
    try:
        primaries, gamma = None, None
        if b"cHRM" in chunks:
            primaries = tuple(value / 100_000 for value in struct.unpack(">8I", chunks[b"cHRM"]))
        if b"gAMA" in chunks:
            gamma = 100_000 / max(1, *struct.unpack(">I", chunks[b"gAMA"]))
        return _measured(primaries, gamma)
    except (ValueError, struct.error):
        notes.append("damaged gAMA or cHRM chunks; its colors may be wrong")
        return None


def _by_tags(mode: str, tags: Mapping[int, tuple[float, ...]], notes: list[str]) -> Space | None:
    space = tags.get(exif.COLOR_SPACE, (0,))[0]
    if mode == "CMYK" or space == 1:  # 1: sRGB
        return None
    if space == 2 or tags.get(exif.INTEROPERABILITY, ())[:3] == tuple(b"R03"):  # DCF 2.0's name for Adobe RGB
        return ADOBE_RGB
    try:
        if tags.keys() & {exif.WHITE_POINT, exif.PRIMARY_CHROMATICITIES, exif.GAMMA, exif.TRANSFER_FUNCTION}:
            primaries = None
            if exif.PRIMARY_CHROMATICITIES in tags:
                primaries = (*tags.get(exif.WHITE_POINT, _D65), *tags[exif.PRIMARY_CHROMATICITIES])
            found = _measured(primaries, *tags.get(exif.GAMMA, (None,)))
            if exif.TRANSFER_FUNCTION in tags:
                found = Space(found.primaries, _table(tags[exif.TRANSFER_FUNCTION]))
            return found
    except ValueError:
        notes.append("damaged EXIF data; its colors may be wrong")
        return None
    if space == 0xFFFF:
        notes.append("its EXIF data tell that its colors are not sRGB, but not what they are; read as sRGB")
    return None


def _measured(primaries: tuple[float, ...] | None, exponent: float | None) -> Space:
    """A space by its measures; None: as sRGB has it. Raises ValueError when there can be no such space.

    An exponent of 2.2 with sRGB's primaries is how sRGB itself is told of by such means (PNG specification, 11.3.2.5).
    """
    if primaries is None or np.allclose(primaries, SRGB.primaries, rtol=0, atol=_NEAR):
        primaries = SRGB.primaries
        if exponent is not None and abs(exponent - 2.2) < 0.02:
            exponent = None
    _to_srgb(primaries)
    return Space(primaries, _srgb_decoded if exponent is None else _power(exponent))


def _to_srgb(primaries: tuple[float, ...]) -> np.ndarray:
    """[3, 3] float64, from light of these primaries to light of sRGB's, white to white (Bradford)."""
    (source, white), (target, srgb_white) = _to_xyz(primaries), _to_xyz(SRGB.primaries)
    gains = (_BRADFORD @ srgb_white) / (_BRADFORD @ white)
    return np.linalg.inv(target) @ np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD @ source


def _to_xyz(primaries: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """[3, 3] and [3] float64: from light of three primaries to CIE XYZ, and white there. Raises ValueError."""
    white, *colors = np.reshape(primaries, (4, 2))
    if white.min() < 0.2 or white.max() > 0.5:
        raise ValueError(f"white at {white}")
    columns = np.array([(x, y, 1 - x - y) for x, y in colors]).T
    if abs(np.linalg.det(columns)) < 0.01:
        raise ValueError("primaries in a line")
    x, y = white
    white = np.array([x, y, 1 - x - y]) / y
    gains = np.linalg.solve(columns, white)
    if gains.min() <= 0 or not np.isfinite(gains).all():
        raise ValueError("white outside of the primaries")
    return columns * gains, white
