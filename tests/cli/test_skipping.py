"""Bad pictures among good ones: refused before anything else, or left out and named."""

import pytest

from nst_jax.cli.skipping import readable, skipped
from nst_jax.errors import InputError, argument, option
from nst_jax.pictures import images
from nst_jax.transfer.settings import Settings

SETTINGS = Settings(size=48)


@pytest.fixture
def paths(tmp_path, picture):
    """Good, cut short, good, no picture, missing."""
    found = [tmp_path / f"{number}.png" for number in range(5)]
    images.write_image(found[0], picture("painting", 32, 48))
    whole = found[0].read_bytes()
    for path, content in zip(found[1:4], (whole[:999], whole, b"no picture"), strict=True):
        path.write_bytes(content)
    return found


def test_bad_ones_are_left_out_and_told_of(paths, capsys):
    good, refusals = readable(paths, SETTINGS, skip_bad=True, quiet=True)
    assert good == [paths[0], paths[2]]
    assert skipped(refusals) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(".png")[0] for line in lines] == [
        f"nst-jax: skipped: {path.with_suffix('')}" for path in (paths[1], paths[3], paths[4])
    ]
    assert lines[2].endswith("no such file")


def test_what_was_not_asked_to_be_skipped_is_refused(paths):
    with pytest.raises(InputError) as caught:
        readable(paths, SETTINGS, skip_bad=False, quiet=True)
    text = caught.value.message(option)
    assert text.startswith(str(paths[1]))
    assert text.endswith(" (3 of 5 pictures are refused); --skip-bad leaves out what is bad")
    with pytest.raises(InputError) as caught:
        readable(paths[:2], SETTINGS, skip_bad=False, quiet=True)
    assert "refused" not in str(caught.value)
    assert str(caught.value).endswith("; skip_bad leaves out what is bad")


@pytest.mark.parametrize("skip_bad", [True, False])
def test_nothing_is_left_of_bad_ones_alone(paths, skip_bad):
    with pytest.raises(InputError, match=r"^.*1\.png: .* \(2 of 2 pictures are refused\)$"):
        readable([paths[1], paths[3]], SETTINGS, skip_bad=skip_bad, quiet=True)
    with pytest.raises(InputError, match=r"4\.png: no such file$"):
        readable(paths[4:], SETTINGS, skip_bad=skip_bad, quiet=True)


def test_good_ones_alone_are_nothing_to_tell_of(paths, capsys):
    for skip_bad in (True, False):
        assert readable(paths[:1], SETTINGS, skip_bad=skip_bad, quiet=False) == (paths[:1], [])
    assert skipped([]) == 0
    assert capsys.readouterr() == ("", "")


def test_what_the_settings_refuse_is_bad_as_well(paths, picture):
    images.write_image(paths[3], picture("painting", 200, 48))
    good, refusals = readable(paths[2:4], SETTINGS, skip_bad=True, quiet=True)
    assert good == [paths[2]]
    assert "12x48 pixels after size 48; each side must have at least 32" in str(refusals[0])


def test_a_line_each_whatever_a_name_holds(capsys):
    assert skipped([InputError(f"a\nb.png: larger than {argument('max_pixels')}")]) == 1
    assert capsys.readouterr().err == "nst-jax: skipped: a b.png: larger than --max-pixels\n"
