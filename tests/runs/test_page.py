"""The page: what is in it, that nothing in it can run, and that it works in a browser."""

import base64
import io
import json
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from nst_jax.errors import InputError
from nst_jax.runs import page
from nst_jax.runs.contact_sheet import Cell

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    '"><svg onload=alert(2)>',
    "<!--<script>alert(3)//",
    "'; alert(4); //",
    "${alert(5)} $title &lt;b&gt; \u2028 \u202e \udcff \x00",
    "javascript:alert(6)",
]
ROWS = ["A conv1_1", "B conv2_1", "C conv3_1"]
COLUMNS = ["10⁻⁵", "10⁻⁴", "10⁻³"]


def flat(number: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A picture of one color, different for every number."""
    return np.full((height, width, 3), [(40 + 20 * number) / 255, 0.5, 1 - 20 * number / 255], np.float32)


def lanes(rows=ROWS, columns=COLUMNS, **more) -> list[Cell]:
    steps = list(range(1, 31))
    falling = [1e6 / step for step in steps]
    losses = {"evaluations": steps, "total": falling, "content": [7.0] * 30, "style": falling, "conv1_1": falling}
    return [
        Cell(
            f"{i}{j}",
            row,
            column,
            flat(3 * i + j),
            {"seed": "0", "layers": row},
            losses,
            **{"state": "done", **more},
        )
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
    ]


def make(cells=None, **more) -> str:
    settings = {"row_headings": ROWS, "column_headings": COLUMNS, "corner": "α/β", "notes": {"size": "64 × 48"}}
    return page.page("Fig 3", lanes() if cells is None else cells, **{**settings, **more})


class Elements(HTMLParser):
    """Every start tag with its attributes, all text outside of scripts and styles, and the script of data."""

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.text, self.data, self._inside = [], "", "", ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if not self._inside:
            self.text += data
        elif self.tags[-1][1].get("id") == "data":
            self.data += data

    def pictures(self) -> list[np.ndarray]:
        sources = [attributes["src"] for tag, attributes in self.tags if tag == "img"]
        return [np.asarray(Image.open(io.BytesIO(base64.b64decode(s.partition(",")[2])))) for s in sources]


def test_pictures_are_in_the_page_exactly():
    for cell, picture in zip(lanes(), Elements(make()).pictures(), strict=True):
        np.testing.assert_array_equal(picture, np.rint(cell.image * 255))


def test_large_sweeps_become_jpeg_and_shrink_and_say_so(monkeypatch):
    """What is chosen is then shown from the folder."""
    elements = Elements(make())
    assert "JPEG" not in elements.text
    assert {cell["original"] for cell in json.loads(elements.data)["cells"]} == {None}
    rest = len(make()) + 9 * page._BYTES_OF_CELL  # more than all but the pictures
    monkeypatch.setattr(page, "_PNG", 1e6)
    elements = Elements(make())
    assert "pictures are JPEG;" in elements.text
    for cell, picture in zip(lanes(), elements.pictures(), strict=True):
        np.testing.assert_allclose(picture, cell.image * 255, atol=3)
    assert [cell["original"] for cell in json.loads(elements.data)["cells"]] == [
        f"lanes/{cell.name}.png" for cell in lanes()
    ]
    monkeypatch.setattr(page, "_JPEG", 4 * (19e6 - rest) / (9 * 48 * 64))
    elements = Elements(make())
    assert "JPEG, shrunk;" in elements.text
    (shape,) = {picture.shape for picture in elements.pictures()}
    assert shape[0] in (24, 25)
    assert shape[1] in (32, 33)


def test_a_page_of_a_thousand_lanes_is_at_most_20_megabytes():
    """Of noise, which compresses the least, and of curves that are long."""
    rows, columns = [f"r{n}" for n in range(40)], [f"c{n}" for n in range(25)]
    generator = np.random.default_rng(0)
    noise = generator.random((64, 64, 3), np.float32)
    series = (generator.random(2000) * 1e6).tolist()
    losses = {name: series for name in ("evaluations", "total", "content", "style", *"abcde")}
    cells = [
        Cell(f"{row}_{column}", row, column, noise, {"seed": "0"}, losses, "done") for row in rows for column in columns
    ]
    html = make(cells, row_headings=rows, column_headings=columns)
    assert 10e6 < len(html.encode()) < 20e6
    kept = json.loads(Elements(html).data)["cells"][7]["losses"]
    assert len(kept["total"]) == 66
    assert kept["total"][-1] == float(f"{series[-1]:.6g}")


def test_losses_that_are_not_finite_become_null():
    losses = {"evaluations": [1, 2, 3, 4], "total": [5.0, float("nan"), float("inf"), -float("inf")]}
    cell = Cell("a", "A", "x", None, losses=losses)
    data = json.loads(Elements(make([cell], row_headings=["A"], column_headings=["x"])).data)
    assert data["cells"][0]["losses"] == {"evaluations": [1, 2, 3, 4], "total": [5, None, None, None]}


def test_pictures_that_are_not_finite_are_drawn_all_the_same():
    broken = np.full((4, 4, 3), np.nan, np.float32)
    broken[0] = [2, -1, 0.5]
    cell = Cell("a", "A", "x", broken, state="failed")
    (picture,) = Elements(make([cell], row_headings=["A"], column_headings=["x"])).pictures()
    np.testing.assert_array_equal(picture[0, 0], [255, 0, 128])
    assert (picture[1:] == 0).all()


@pytest.mark.parametrize("records", [1, 400, 401, 12345])
def test_long_curves_are_thinned_from_the_first_to_the_last_record(records):
    series = [float(n) for n in range(records)]
    cell = Cell("a", "A", "x", losses={"evaluations": series, "total": series})
    data = json.loads(Elements(make([cell], row_headings=["A"], column_headings=["x"])).data)
    kept = data["cells"][0]["losses"]
    assert kept["evaluations"] == kept["total"]
    assert len(kept["total"]) == min(records, 400)
    assert kept["total"][0] == 0
    assert kept["total"][-1] == records - 1
    assert kept["total"] == sorted(set(kept["total"]))


def test_the_grid_knows_places_without_a_lane():
    cells = [cell for cell in lanes() if (cell.row, cell.column) != (ROWS[1], COLUMNS[1])]
    assert json.loads(Elements(make(cells)).data)["grid"] == [[0, 1, 2], [3, None, 4], [5, 6, 7]]


def test_the_state_is_counted():
    cells = [*lanes(rows=ROWS[:1]), *lanes(rows=ROWS[1:2], state="running"), Cell("z", ROWS[2], COLUMNS[0])]
    assert "7 lanes: 3 done, 3 running, 1 waiting" in Elements(make(cells, refresh_seconds=5)).text


def test_an_unknown_heading_is_refused():
    with pytest.raises(InputError, match="no row"):
        make([Cell("a", "Z", "x")])


def test_a_page_that_is_served_may_ask_its_server_and_no_other():
    (policy,) = [a["content"] for _, a in Elements(make(live="x")).tags if "content" in a and "http-equiv" in a]
    assert policy.startswith("default-src 'none'; img-src data: 'self'; connect-src 'self'; style-src 'sha256-")
    assert json.loads(Elements(make(live="x")).data)["live"] == "x"
    assert "connect-src" not in make()


def hostile_page(**more) -> str:
    cells = [
        Cell(name, name, column, flat(i), {name: name}, {"evaluations": [1, 2], name: [2.0, 1.0]}, state="done")
        for i, name in enumerate(HOSTILE)
        for column in HOSTILE[:2]
    ]
    title, notes = "".join(HOSTILE), {name: name for name in HOSTILE}
    headings = {"row_headings": HOSTILE, "column_headings": HOSTILE[:2], "corner": HOSTILE[0]}
    return page.page(title, cells, notes=notes, **headings, **more)


def test_hostile_names_add_no_elements_and_no_attributes():
    elements, plain = Elements(hostile_page()), Elements(make())
    assert {tag for tag, _ in elements.tags} <= {tag for tag, _ in plain.tags}
    assert sum(tag == "script" for tag, _ in elements.tags) == 2
    assert sum(tag == "img" for tag, _ in elements.tags) == 12
    names = {name for _, attributes in elements.tags for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert names <= {name for _, attributes in plain.tags for name in attributes}
    for name in HOSTILE[:4]:
        assert name in elements.text
    assert [cell["name"] for cell in json.loads(elements.data)["cells"]] == [n for n in HOSTILE for _ in "ab"]


def test_the_data_holds_no_character_of_html():
    data = Elements(hostile_page()).data
    assert data.isascii()
    assert not set("<>&") & set(data)


def test_the_page_is_self_contained_utf8():
    html = hostile_page()
    assert html.encode("utf-8").decode("utf-8") == html
    for tag, attributes in Elements(html).tags:
        for name in ("src", "href", "action", "srcset", "data"):
            if attributes.get(name):
                assert attributes[name].startswith("data:"), (tag, attributes)
    assert not re.findall(r"@import|url\(", page._part("page.css"))
    policies = [a["content"] for _, a in Elements(html).tags if a.get("http-equiv") == "Content-Security-Policy"]
    hashed = r"'sha256-[A-Za-z0-9+/]{43}='"
    (policy,) = policies
    assert re.match(
        rf"default-src 'none'; img-src data:; style-src {hashed}; script-src {hashed}; base-uri 'none'", policy
    )


# -- in a browser

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def visit(browser, tmp_path):
    """Opens a page from disk; afterwards: no console message, no error, no dialog, no request but these."""
    contexts, trouble = [], []

    def open_page(html, beside=None, **settings):
        path = tmp_path / "index.html"
        path.write_text(html, encoding="utf-8")
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: trouble.append(f"console: {message.text}"))
        tab.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        tab.on("dialog", lambda dialog: (trouble.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        addresses = (path.as_uri(), "data:", *filter(None, [beside]))
        tab.on("request", lambda r: None if r.url.startswith(addresses) else trouble.append(f"request: {r.url[:99]}"))
        tab.goto(path.as_uri())
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


def source(tab, selector: str) -> str:
    return tab.locator(f"{selector} img").get_attribute("src")


def thumbnail(tab, number: int) -> str:
    return source(tab, f"#cell-{number}")


def focused(tab) -> str:
    return tab.evaluate("document.activeElement.id")


@pytest.mark.slow
def test_the_slider_goes_along_a_row(visit):
    tab = visit(make())
    tab.select_option("#row", label=ROWS[1])
    assert source(tab, "#along-layer") == thumbnail(tab, 3)
    tab.focus("#along")
    for column in (1, 2):
        tab.keyboard.press("ArrowRight")
        assert source(tab, "#along-layer") == thumbnail(tab, 3 + column)
        assert tab.text_content("#along-value") == COLUMNS[column]
        assert tab.get_attribute("#along", "aria-valuetext") == COLUMNS[column]
    tab.locator("#along").click(position={"x": 2, "y": 20})
    assert source(tab, "#along-layer") == thumbnail(tab, 3)


@pytest.mark.slow
def test_two_pictures_are_compared(visit):
    tab = visit(make())
    tab.select_option("#compare-a", index=2)
    tab.select_option("#compare-b", index=7)
    assert source(tab, "#layer-a") == thumbnail(tab, 2)
    assert source(tab, "#layer-b") == thumbnail(tab, 7)

    def color(part: float) -> tuple:
        box = tab.locator("#wipe-stage").bounding_box()
        shot = Image.open(io.BytesIO(tab.locator("#wipe-stage").screenshot())).convert("RGB")
        return shot.getpixel((int(box["width"] * part), int(box["height"] * 0.2)))

    left, right = (tuple(np.rint(flat(number)[0, 0] * 255).astype(int)) for number in (2, 7))
    assert (color(0.3), color(0.7)) == (left, right)
    tab.focus("#wipe")
    tab.keyboard.press("End")
    assert (color(0.3), color(0.7)) == (left, left)
    tab.keyboard.press("Home")
    assert (color(0.3), color(0.7)) == (right, right)
    box = tab.locator("#wipe-stage").bounding_box()  # and with the mouse on the picture itself
    tab.mouse.move(box["x"] + 5, box["y"] + 50)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50, steps=3)
    tab.mouse.up()
    assert (color(0.3), color(0.7)) == (left, right)


@pytest.mark.slow
def test_keyboard_through_the_grid_and_the_enlarged_picture(visit):
    cells = [cell for cell in lanes() if (cell.row, cell.column) != (ROWS[1], COLUMNS[1])]
    tab = visit(make(cells))
    tab.keyboard.press("Tab")
    assert focused(tab) == "cell-0"
    for key, number in [("ArrowRight", 1), ("ArrowDown", 6), ("End", 7), ("ArrowUp", 4), ("ArrowLeft", 3), ("Home", 3)]:
        tab.keyboard.press(key)
        assert focused(tab) == f"cell-{number}"
    tab.keyboard.press("Enter")
    assert tab.locator("#large").is_visible()
    assert tab.text_content("#large-name") == "10"
    assert source(tab, "#large-layer") == thumbnail(tab, 3)
    assert ROWS[1] in tab.text_content("#large-settings")
    tab.keyboard.press("ArrowRight")
    assert source(tab, "#large-layer") == thumbnail(tab, 4)
    tab.keyboard.press("Escape")
    assert not tab.locator("#large").is_visible()
    tab.wait_for_function("document.activeElement.id === 'cell-4'")  # the dialogue's `close` event comes a little later


@pytest.mark.slow
def test_mouse_and_loss_curves(visit):
    losses = {"evaluations": [1, 2, 3, 4, 5], "total": [1e5, float("nan"), 1e3, 1e2, 10], "content": [0.0] * 5}
    cell = Cell("a", "A", "x", flat(0), losses=losses, state="done")
    other = Cell("b", "A", "y", None, state="waiting")
    tab = visit(make([cell, other], row_headings=["A"], column_headings=["x", "y"]))
    tab.click("#cell-0")
    total = tab.locator("#curves path.s0").get_attribute("d")
    assert total.count("M") == 2  # broken where the loss is not finite
    heights = [float(number) for number in re.findall(r",([\d.]+)", total)]
    np.testing.assert_allclose(np.diff(heights)[1:], heights[2] - heights[1], atol=0.2)  # equal steps: a logarithm
    assert heights[1] - heights[0] == pytest.approx(2 * (heights[2] - heights[1]), abs=0.3)
    assert tab.locator("#curves path.s1").get_attribute("d") == ""  # zero has no logarithm
    values = tab.locator("#curves .value")
    assert values.all_text_contents() == ["10", "0"]
    box = tab.locator("#curves .chart").bounding_box()
    tab.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 50)
    assert values.first.text_content() == "not finite"
    tab.focus("#evaluation")
    tab.keyboard.press("Home")
    assert values.first.text_content() == "1.000e5"
    tab.get_by_role("button", name="total").click()
    assert tab.locator("#curves path.s0").count() == 0
    tab.click("#next")
    assert tab.text_content("#large-layer") == "waiting"
    assert tab.text_content("#curves") == "No losses yet."
    tab.click("#close")
    assert not tab.locator("#large").is_visible()


@pytest.mark.slow
def test_refresh_shows_the_new_state_and_keeps_what_is_shown(visit, tmp_path):
    half = [*lanes(rows=ROWS[:2]), *(Cell(f"2{j}", ROWS[2], column) for j, column in enumerate(COLUMNS))]
    tab = visit(make(half, refresh_seconds=1))
    assert "6 done, 3 waiting" in tab.text_content(".state")
    tab.select_option("#compare-a", index=4)
    tab.select_option("#row", label=ROWS[2])
    tab.focus("#along")
    tab.keyboard.press("ArrowRight")
    assert tab.text_content("#along-layer") == "waiting"
    tab.click("#cell-7")
    replacement = tmp_path / "new.html"
    replacement.write_text(make(refresh_seconds=None), encoding="utf-8")
    os.replace(replacement, tmp_path / "index.html")
    tab.wait_for_selector("text=9 lanes: 9 done", timeout=10_000)
    assert tab.locator("#large").is_visible()
    assert source(tab, "#large-layer") == thumbnail(tab, 7)
    assert source(tab, "#along-layer") == thumbnail(tab, 7)
    assert source(tab, "#layer-a") == thumbnail(tab, 4)
    assert not tab.locator("#pause").is_visible()


@pytest.mark.slow
def test_refresh_can_be_paused(visit):
    tab = visit(make(refresh_seconds=1))
    tab.click("#pause")
    tab.evaluate("window.mark = 1")
    tab.wait_for_timeout(3500)
    assert tab.evaluate("window.mark") == 1
    with tab.expect_event("load", timeout=10_000):
        tab.click("#pause")
    assert tab.evaluate("window.mark") is None


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, PHONE], ids=["desktop", "phone"])
def test_hostile_names_are_inert(visit, settings):
    tab = visit(hostile_page(refresh_seconds=60), **settings)
    shown = "document.getElementById('large-name').textContent"
    for number in range(2 * len(HOSTILE)):
        tab.evaluate(f"enlarge({number})")
        assert tab.evaluate(shown).startswith(HOSTILE[number // 2][:10])
    tab.keyboard.press("Escape")
    tab.select_option("#compare-a", index=3)
    tab.select_option("#row", index=4)
    tab.reload()  # with the choices in the address
    tab.wait_for_timeout(200)
    assert tab.evaluate("document.scripts.length") == 2
    assert tab.locator("svg[onload], img[onerror], [onclick]").count() == 0
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_an_address_made_by_someone_else_does_no_harm(visit, tmp_path):
    tab = visit(make())
    for fragment in ("open=99&a=-1&b=x&row=77&along=9&wipe=1e9", "open=__proto__&focus=<img>&hide=%00", "%E0%A4%A&="):
        tab.goto("about:blank")
        tab.goto((tmp_path / "index.html").as_uri() + "#" + fragment)
        assert source(tab, "#along-layer").startswith("data:image/png")
        assert source(tab, "#layer-a").startswith("data:image/png")


@pytest.mark.slow
def test_a_phone_shows_all_without_scrolling_sideways(visit):
    tab = visit(make(refresh_seconds=60), **PHONE)
    assert tab.evaluate("document.documentElement.scrollWidth") == 360
    tab.tap("#cell-4")
    assert source(tab, "#large-layer") == thumbnail(tab, 4)
    assert tab.evaluate("large.scrollWidth <= 360 && document.documentElement.scrollWidth === 360")
    small = tab.evaluate("[...large.querySelectorAll('.bar button')].map((b) => b.getBoundingClientRect().height)")
    assert min(small) >= 44
    tab.tap("#close")
    tab.tap("#along")  # the middle
    assert source(tab, "#along-layer") == thumbnail(tab, 7)


@pytest.mark.slow
def test_wide_sweeps_scroll_inside_the_grid_only(visit):
    columns = [f"1e-{n}" for n in range(30)]
    tab = visit(make(lanes(columns=columns), column_headings=columns), **PHONE)
    assert tab.evaluate("document.documentElement.scrollWidth") == 360
    assert tab.evaluate("document.querySelector('.scroller').scrollWidth") > 1000


@pytest.mark.slow
def test_an_empty_sweep_and_a_single_lane_load(visit):
    visit(make([], refresh_seconds=60))
    tab = visit(make(lanes(ROWS[:1], COLUMNS[:1]), row_headings=ROWS[:1], column_headings=COLUMNS[:1]))
    assert not tab.locator("#along").is_visible()
    assert not tab.locator("#wipe").is_visible()


@pytest.mark.slow
def test_a_chosen_picture_comes_from_the_folder(visit, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "_PNG", 1e9)
    (tmp_path / "lanes").mkdir()
    for cell in lanes():
        Image.new("RGB", (128, 96)).save(tmp_path / "lanes" / f"{cell.name}.png")
    tab = visit(make(), beside=tmp_path.as_uri() + "/lanes/")
    tab.click("#cell-4")
    assert source(tab, "#large-layer") == "lanes/11.png"
    assert thumbnail(tab, 4).startswith("data:image/jpeg")
    tab.wait_for_function("document.querySelector('#large-layer img').naturalWidth === 128")
    assert source(tab, "#along-layer").startswith("lanes/")


@pytest.mark.slow
def test_a_page_without_its_folder_shows_what_it_has(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "_PNG", 1e9)
    (tmp_path / "index.html").write_text(make(), encoding="utf-8")
    tab = browser.new_page()
    tab.goto((tmp_path / "index.html").as_uri())
    tab.click("#cell-4")
    tab.wait_for_function("document.querySelector('#large-layer img').naturalWidth === 64")
    assert source(tab, "#large-layer") == thumbnail(tab, 4)
    tab.close()
