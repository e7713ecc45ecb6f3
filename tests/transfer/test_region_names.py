"""The setting `region` as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_jax.errors import InputError
from nst_jax.transfer.region_names import Region, as_text, renamed, written

NAMES = st.text(
    st.characters(exclude_characters="=: \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85", exclude_categories=("Z",)), min_size=1
)


@given(st.builds(Region, NAMES, NAMES.filter(lambda name: len(name) > 1), st.none() | NAMES))
def test_what_is_written_is_read(region):
    assert written(as_text(region)) == region


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sky.png=sea.jpg", Region("sky.png", "sea.jpg")),
        ("/a/m.png=/b/p.jpg:/c/q.png", Region("/a/m.png", "/b/p.jpg", "/c/q.png")),
        (" a b.png = c d.jpg : e f.png ", Region("a b.png", "c d.jpg", "e f.png")),
        (r"C:\m.png=C:\p.jpg:D:\q.png", Region(r"C:\m.png", r"C:\p.jpg", r"D:\q.png")),
    ],
)
def test_names_of_files(text, expected):
    assert written(text) == expected


def test_other_names_for_the_files_of_a_region():
    assert renamed("a=b:c", str.upper) == "A=B:C"
    assert renamed("a=b", str.upper) == "A=B"


@pytest.mark.parametrize("text", ["", "sky.png", "=sea.jpg", "sky.png=", "sky.png=sea.jpg:", "a=b:c:d"])
def test_other_forms_are_refused(text):
    with pytest.raises(InputError, match=r"region: .* must be MASK=PAINTING or MASK=PAINTING:MASK$"):
        written(text)
