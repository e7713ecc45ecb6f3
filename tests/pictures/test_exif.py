"""EXIF data: which entries are found, and what damage does."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import tiff

from nst_jax.pictures import exif

ENTRIES = {
    0x0112: (3, [6]),
    0x010F: (2, b"a maker"),
    0x013E: (5, [3127, 10_000, 329, 1000]),
    0x8769: (4, {0xA001: (3, [0xFFFF]), 0xA500: (5, [22, 10]), 0xA005: (4, {1: (2, b"R03\0"), 2: (2, b"0100")})}),
}


def found(data):
    return dict(exif.entries(io.BytesIO(data)))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
def test_entries_of_every_directory(order, big):
    assert found(tiff(ENTRIES, b"pixels", order, big)) == {
        exif.ORIENTATION: (6,),
        exif.WHITE_POINT: (0.3127, 0.329),
        exif.COLOR_SPACE: (0xFFFF,),
        exif.GAMMA: (2.2,),
        exif.INTEROPERABILITY: tuple(b"R03\0"),
    }


def test_a_transfer_function_of_16_bits():
    values = (*range(2**16),) * 3
    assert found(tiff({301: (3, values)})) == {exif.TRANSFER_FUNCTION: values}


def test_what_comes_before_the_damage_is_found():
    data = tiff({**ENTRIES, 0x8769: (4, [9999])})
    kept = {}
    with pytest.raises(ValueError, match="cut short"):
        kept.update(exif.entries(io.BytesIO(data)))
    assert kept == {exif.ORIENTATION: (6,), exif.WHITE_POINT: (0.3127, 0.329)}


@pytest.mark.parametrize(
    "entries", [{0x0112: (3, [6, 6])}, {0x0112: (3, [])}, {0x013F: (5, [1, 2])}, {301: (3, [0] * 200_000)}]
)
def test_a_count_that_cannot_be(entries):
    with pytest.raises(ValueError, match=" values"):
        found(tiff(entries))


def test_a_directory_that_leads_to_itself():
    assert found(tiff({0x0112: (3, [3]), 0x8769: (4, [8])})) == {exif.ORIENTATION: (3,)}


@given(st.binary(max_size=60), st.integers(0, 2**64), st.data())
@settings(max_examples=300, deadline=None)
def test_damage_is_one_of_two_errors(noise, place, data):
    good = bytearray(tiff(ENTRIES, order=data.draw(st.sampled_from("<>")), big=data.draw(st.booleans())))
    place %= len(good)
    good[place : place + len(noise)] = noise
    try:
        values = found(bytes(good))
    except (ValueError, KeyError):
        return
    assert values.keys() <= {0x0112, 0x013E, 0x013F, 0xA001, 0xA500, 1, 301}


@pytest.mark.parametrize(
    ("xmp", "orientation"),
    [(b'x tiff:Orientation="6" y', 6), (b"<tiff:Orientation>8</tiff:Orientation>", 8), (b"", 1), (b"Orientation", 1)],
)
def test_orientation_in_xmp(xmp, orientation):
    assert exif.xmp_orientation(xmp) == orientation
