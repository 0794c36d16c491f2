"""``amdm studio`` in a browser. Skipped where gradio, playwright or chromium is absent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amdm.layout import Instance, Interaction, read_layout
from amdm.mini.vocabulary import STYLES
from amdm.model_set import LoadOptions
from bench.studio import judge
from tests.bench.conftest import new_page
from tests.conftest import needs

Opener = Callable[..., Any]
DONE = ".studio-results[data-state=done]"
FAILED = ".studio-results[data-state=failed]"
HOSTILE = "<img src=x onerror=\"document.title='taken over'\">${document.title='taken over'}{{value}}"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A studio of the mini models with its judge."""
    needs("gradio", "ui")
    from amdm.studio.serve import Served
    from amdm.studio.work import Studio

    served = Served(Studio("mini", LoadOptions.parse("mini", device="cpu"), judge("mini"))).start()
    yield served.address
    served.close()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Opener]:
    """Opens the page; at the end it has said nothing, and asked nobody else for anything."""
    said, contexts = list[str](), list[Any]()

    def open_page(**options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 1000}} | options)
        contexts.append(context)
        page = new_page(context)
        page.on("console", lambda one: said.append(f"console: {one.text}"))
        page.on("pageerror", lambda one: said.append(f"error: {one}"))
        page.on("dialog", lambda one: said.append(f"dialog: {one.message}"))
        page.on(
            "request", lambda one: said.append(one.url) if not one.url.startswith((address, "data:", "blob:")) else None
        )
        page.goto(address)
        page.locator(".studio-canvas").wait_for()
        return page

    yield open_page
    for context in contexts:
        assert all(page.title() == "amdm studio" for page in context.pages)
        context.close()
    assert said == []


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """On the canvas, in shares of its sides. A press on a page that is still being laid out may have scrolled it."""
    canvas = page.locator(".studio-canvas")
    canvas.scroll_into_view_if_needed()
    place = canvas.bounding_box()
    points = [(place["x"] + x * place["width"], place["y"] + y * place["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=4)
    page.mouse.up()


def press(page: Any, name: str) -> None:
    page.locator(".studio-editor").get_by_role("button", name=name, exact=True).click()


def draw_two(page: Any) -> None:
    """A green ring and a white cross, joined: the cross pushes the ring."""
    press(page, "Clear")
    assert "null" not in page.locator(".studio-editor").inner_text()
    drag(page, (0.1, 0.1), (0.4, 0.4))
    page.get_by_label("colour of box 1").select_option("green")
    page.get_by_label("category of box 1").select_option("ring")
    drag(page, (0.95, 0.9), (0.6, 0.55))
    page.get_by_label("colour of box 2").select_option("white")
    page.get_by_label("category of box 2").select_option("cross")
    press(page, "Join two")
    page.get_by_label("subject of join 1").select_option("1")
    page.get_by_label("object of join 1").select_option("0")
    page.get_by_label("action of join 1").fill("pushes")
    page.get_by_label("action of join 1").press("Tab")


def set_steps(page: Any, steps: int, s: int = 1) -> None:
    page.locator("#t input").fill(str(steps))
    page.locator("#s input").fill(str(s))
    page.locator("#s input").press("Tab")


def generate(page: Any, until: str = DONE) -> None:
    """Until this job has ended: the state of an earlier one is taken away, as a quick job is never seen to run."""
    page.locator(".studio-results").evaluate("one => one.removeAttribute('data-state')")
    page.locator("#generate").click()
    page.locator(until).wait_for()


def saved(page: Any, tmp_path: Path, name: str = "save the layout for amdm generate") -> Path:
    with page.expect_download() as download:
        press(page, name)
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def message(page: Any) -> str:
    return str(page.locator(".studio-message").inner_text())


def test_draw_join_generate_and_see(opened: Opener) -> None:
    page = opened()
    draw_two(page)
    set_steps(page, 3)
    generate(page)
    panels = page.locator(".studio-panel")
    assert panels.locator("strong").all_inner_texts() == ["interactdiffusion alone", "migc alone", "together"]
    assert page.locator(".studio-panel img").count() == 3 == page.locator(".studio-frame svg").count()
    assert page.evaluate("[...document.querySelectorAll('.studio-panel img')].every((one) => one.naturalWidth === 64)")
    words = panels.first.locator(".studio-why li").all_inner_texts()
    assert len(words) == 3 and "green ring:" in words[0] and "white cross pushes green ring" in words[2]
    assert panels.locator(".studio-score").first.inner_text().endswith("of 3 right")
    alternative = panels.last.locator("img").get_attribute("alt")
    assert alternative.startswith("together") and "a green ring" in alternative
    page.locator(".studio-repeat summary").last.click()
    lines = page.locator(".studio-repeat").last.locator("code").all_inner_texts()
    assert lines[0].startswith("amdm generate") and "--set aggregation.s=1" in lines[0]
    assert "Instance('a green ring'" in lines[1] and "num_inference_steps=3" in lines[1]


def test_save_and_load(opened: Opener, tmp_path: Path) -> None:
    page = opened()
    draw_two(page)
    page.get_by_label("style of the mini world").select_option("dots")
    page.locator(".studio-thumbnail").wait_for()
    picture, path = saved(page, tmp_path, "save the style picture"), saved(page, tmp_path)
    assert (path.name, picture.name) == ("layout.json", "dots-00.png") and "dots-00.png" in message(page)
    layout, style = read_layout(path)
    ring, cross = layout.instances
    assert style == picture and (ring.phrase, cross.phrase) == ("a green ring", "a white cross")
    assert ring.box == pytest.approx((0.1, 0.1, 0.4, 0.4), abs=0.01)
    assert cross.box == pytest.approx((0.6, 0.55, 0.95, 0.9), abs=0.01)
    assert layout.interactions == (Interaction(cross, "pushes", ring),)
    assert list(json.loads(saved(page, tmp_path, "Save as a set").read_text())) == ["0"]

    again = opened()
    press(again, "Clear")
    again.locator("[data-key='file-Load']").set_input_files([path, picture])
    again.locator(".studio-thumbnail").wait_for()
    assert saved(again, tmp_path / "again").read_text() == path.read_text()
    assert set(STYLES) < set(again.get_by_label("style of the mini world").locator("option").all_inner_texts())


def test_wrong_input_is_told_in_the_page(opened: Opener, tmp_path: Path) -> None:
    page = opened()
    page.locator("#w input, #w textarea").fill("half")
    generate(page, FAILED)
    assert page.get_by_role("alert").inner_text().startswith("w is 'half'; it must be numbers")
    press(page, "Clear")
    page.locator("#w input, #w textarea").fill("0.5")
    generate(page, f"{FAILED}:has-text('draw at least one box')")
    for content, words in (("{", "not JSON"), ('{"caption": "c", "segment": [{"label": "a"}]}', "bbox: is missing")):
        (tmp_path / "wrong.json").write_text(content)
        page.locator("[data-key='file-Load']").set_input_files(tmp_path / "wrong.json")
        page.locator(f".studio-message.wrong:has-text('{words}')").wait_for()
    (tmp_path / "style.png").write_text("no picture")
    page.locator("[data-key='file-Upload']").set_input_files(tmp_path / "style.png")
    page.locator(".studio-message.wrong:has-text('cannot be read as a picture')").wait_for()


def test_texts_stay_texts(opened: Opener, tmp_path: Path) -> None:
    page = opened()
    place = Instance(HOSTILE, (0.1, 0.1, 0.5, 0.5))
    segment = [{"label": place.phrase, "bbox": list(place.box)}]
    (tmp_path / "hostile.json").write_text(json.dumps({"caption": HOSTILE, "segment": segment}))
    page.locator("[data-key='file-Load']").set_input_files(tmp_path / "hostile.json")
    assert page.get_by_label("own of box 1").input_value() == HOSTILE
    set_steps(page, 2)
    generate(page)
    assert HOSTILE in page.locator(".studio-why li").first.inner_text()
    assert HOSTILE[:10] in page.locator(".studio-note").inner_text()
    assert page.locator(".studio img").count() == 3


def test_cancel(opened: Opener) -> None:
    page = opened()
    set_steps(page, 200)
    page.locator("#generate").click()
    page.locator(".studio-status:has-text('step ')").wait_for()
    page.locator(".studio-results[data-state=running] progress").wait_for()
    page.locator("#cancel").click()
    page.locator(".studio-results[data-state=cancelled]").wait_for()
    set_steps(page, 2)
    generate(page)


def test_with_keys_alone(opened: Opener, tmp_path: Path) -> None:
    page = opened()
    press(page, "Clear")
    page.locator(".studio-editor").get_by_role("button", name="Add box").press("Enter")
    page.locator("[data-box='0']").focus()
    for key in ("ArrowRight", "ArrowDown", "Shift+ArrowRight"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.dataset.key") == "box-0"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.dataset.key") == "colour-0"
    assert read_layout(saved(page, tmp_path))[0].instances[0].box == pytest.approx((0.11, 0.11, 0.42, 0.41))
    page.locator("[data-box='0']").focus()
    page.keyboard.press("Delete")
    assert page.locator("[data-box]").count() == 0 and message(page) == "Box 1 was deleted."


def test_boxes_are_moved_and_stretched_by_mouse(opened: Opener, tmp_path: Path) -> None:
    page = opened()
    drag(page, (0.2, 0.3), (0.3, 0.3))  # the circle
    drag(page, (0.46, 0.4), (0.5, 0.6))  # its lower right corner
    circle = read_layout(saved(page, tmp_path))[0].instances[0]
    assert circle.box == pytest.approx((0.16, 0.1, 0.5, 0.6), abs=0.01)


def test_fields_follow_the_composition(opened: Opener) -> None:
    page = opened()
    page.locator("#others").get_by_label("ip-adapter").check()
    page.wait_for_function("document.querySelector('#w input, #w textarea').value === '0.47, 0.5'")
    page.locator("#others").get_by_label("ip-adapter").uncheck()
    page.locator("#semantics input").click()
    page.get_by_role("option", name="alternate").click()
    page.wait_for_function("document.querySelector('#w input, #w textarea').disabled")
    assert page.locator("#w input, #w textarea").input_value() == ""


def test_light_dark_and_a_phones_width(opened: Opener) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        page = opened(color_scheme=scheme, viewport={"width": 360, "height": 700}, has_touch=True)
        page.wait_for_timeout(500)
        grounds.add(page.evaluate("getComputedStyle(document.querySelector('.studio-canvas')).backgroundColor"))
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert len(grounds) == 2
    set_steps(page, 2)
    generate(page)
    inside = "[...document.querySelectorAll('.studio-panel')].every((one) => one.scrollWidth <= one.clientWidth)"
    assert page.evaluate(inside) and page.evaluate("document.documentElement.scrollWidth") <= 360
