"""The page in a browser: Debian's chromium, driven by playwright. Skipped where one of them is absent.

Nothing waits by ``wait_for_function``: playwright evaluates its text in the page, whose policy forbids that.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.layouts.named import load_layouts
from bench.report.html.page import write_page
from bench.report.measured import Measured
from tests.bench.conftest import JobRunner, new_page
from tests.bench.report.html.conftest import HOSTILE, METHODS, hostile, many

Opener = Callable[..., Any]


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    """What the tests share: the run and its page."""
    return {}


@pytest.fixture
def run(run_fake_job: JobRunner, kept: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Measured:
    if "run" not in kept:
        folder = shutil.copytree(run_fake_job(), tmp_path_factory.mktemp("shown") / "run")
        kept["run"] = hostile(Measured.read(folder))
        kept["page"] = write_page([kept["run"]], folder.parent / "page")
    made: Measured = kept["run"]
    return made


@pytest.fixture
def opened(browser: Any, run: Measured, kept: dict[str, Any]) -> Iterator[Opener]:
    """Opens the run's page; at the end it has said nothing, asked nobody, and run nothing that a text told it to."""
    file = kept["page"]
    said, contexts = list[str](), list[Any]()

    def open_page(fragment: str = "", **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1300, "height": 900}} | options)
        contexts.append(context)
        page = new_page(context)
        page.on("console", lambda one: said.append(f"console: {one.text}"))
        page.on("pageerror", lambda one: said.append(f"error: {one}"))
        page.on("dialog", lambda one: said.append(f"dialog: {one.message}"))
        page.on(
            "request", lambda one: said.append(one.url) if not one.url.startswith(("data:", file.as_uri())) else None
        )
        page.goto(file.as_uri() + fragment)
        page.locator("#pictures").scroll_into_view_if_needed()
        page.evaluate("document.getElementById('pictures').scrollIntoView()")
        page.locator(".tile").first.wait_for()
        return page

    yield open_page
    for context in contexts:
        assert all(page.title() == HOSTILE for page in context.pages)
        context.close()
    assert said == []


def keys_shown(page: Any) -> list[str]:
    return [text.removeprefix("layout ") for text in page.locator("#rows .row header b").all_text_contents()]


def wanted(run: Measured, chosen: pd.DataFrame) -> set[str]:
    return {entry.key for entry in run.entries if entry.index in set(chosen.layout_index)}


def generated(run: Measured) -> pd.DataFrame:
    return run.verdicts[run.verdicts.method != "ceiling"].assign(right=lambda t: (t.success & t.attr).astype(bool))


def test_texts_of_strangers_stay_texts(opened: Opener) -> None:
    page = opened()
    assert (
        page.locator("h1").inner_text() == HOSTILE and page.locator(".row header span").nth(1).inner_text() == HOSTILE
    )
    page.locator(".tile").nth(1).click()
    assert HOSTILE in page.locator("#viewer h3").inner_text()
    assert page.locator("#viewer img").count() == 1  # the picture, and none that a text made
    assert HOSTILE in page.locator("#viewer img").get_attribute("alt")


def test_failures_come_first(opened: Opener, run: Measured) -> None:
    lost = 1 - generated(run).groupby("layout_index").right.mean()
    keys = {entry.index: entry.key for entry in run.entries}
    order = sorted(lost.index, key=lambda index: (-lost[index], [e.index for e in run.entries].index(index)))
    page = opened()
    assert keys_shown(page) == [keys[index] for index in order]
    page.select_option("[name=order]", "file")
    assert keys_shown(page) == [entry.key for entry in run.entries]


def test_filters_show_what_they_name(opened: Opener, run: Measured) -> None:
    verdicts, page = generated(run), opened()
    page.select_option("[name=level]", "3")
    assert set(keys_shown(page)) == wanted(run, verdicts[verdicts.level == 3])
    assert page.locator("#count").inner_text() == f"{len(keys_shown(page))} of 25 layouts"
    page.click("button[type=reset]")
    page.locator("#rows .row").nth(24).wait_for(state="attached")

    both = verdicts[
        (verdicts.colour == "red") & (verdicts.category == verdicts.category.iloc[0]) & ~verdicts.success.astype(bool)
    ]
    page.select_option("[name=colour]", "red")
    page.select_option("[name=category]", str(verdicts.category.iloc[0]))
    reds = set(keys_shown(page))
    page.select_option("[name=verdict]", "wrong_place")
    page.select_option("[name=method]", "0")
    own = both[(both.method == METHODS[0]) & both.detected.astype(bool)]
    assert set(keys_shown(page)) == wanted(run, own) < reds


def test_methods_that_disagree_are_found(opened: Opener, run: Measured) -> None:
    sides = generated(run).groupby(["layout_index", "instance"]).right.nunique().reset_index()
    page = opened()
    page.check("[name=disagree]")
    assert set(keys_shown(page)) == wanted(run, sides[sides.right == 2]) and 0 < len(keys_shown(page)) < 25


def test_what_is_chosen_stands_in_the_address(opened: Opener) -> None:
    page = opened()
    page.select_option("[name=level]", "4")
    page.press("body", "d")
    fragment = page.evaluate("location.hash")
    assert fragment == "#level=4&disagree=1"
    again = opened(fragment)
    assert keys_shown(again) == keys_shown(page) and again.is_checked("[name=disagree]")


def test_each_picture_has_a_link(opened: Opener) -> None:
    page = opened("#level=3")
    page.locator(".row").nth(1).locator(".tile").nth(1).click()
    shown = page.locator("#viewer .about").inner_text()
    fragment = page.locator("#viewer a").get_attribute("href")
    assert fragment == page.evaluate("location.hash") and fragment.startswith("#level=3&layout=")
    again = opened(fragment)
    assert again.locator("#viewer[open] .about").inner_text() == shown
    assert again.locator("#viewer h3").inner_text() == METHODS[1]
    again.keyboard.press("Escape")
    again.wait_for_url(lambda url: "picture=" not in url)
    assert again.evaluate("location.hash") == "#level=3"
    again.evaluate(f"location.hash = {fragment!r}")
    again.locator("#viewer[open]").wait_for()


def test_the_keys(opened: Opener) -> None:
    page = opened()
    at = "(() => { const {row, method} = document.activeElement.dataset; return [row, method]; })()"
    numbers = page.evaluate("shown.map((row) => String(row.number))")
    page.press("body", "j")
    assert page.evaluate(at) == [numbers[0], "0"]
    for key in ("j", "ArrowDown", "k", "l", "ArrowRight", "ArrowRight", "h"):
        page.keyboard.press(key)
    assert page.evaluate(at) == [numbers[1], "1"]
    page.keyboard.press("Enter")
    assert page.locator("#viewer[open] h3").inner_text() == HOSTILE
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("j")
    assert page.locator("#viewer h3").inner_text() == METHODS[0]
    assert f"layout {keys_shown(page)[2]}," in page.locator("#viewer .about").inner_text()
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "picture=" not in url)
    assert page.locator("#viewer[open]").count() == 0 and page.evaluate(at) == [numbers[2], "0"]
    assert page.locator(".frame svg").first.is_visible()
    page.keyboard.press("b")
    assert not page.locator(".frame svg").first.is_visible()
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    assert page.is_checked("[name=disagree]")
    page.keyboard.press("c")
    page.locator("#rows .row").nth(24).wait_for(state="attached")
    page.keyboard.press("f")
    assert page.evaluate("document.activeElement.name") == "level"


def test_a_button_of_the_viewer_keeps_the_focus_that_pressed_it(opened: Opener) -> None:
    page = opened()
    page.press("body", "j")
    page.keyboard.press("Enter")
    page.locator("#viewer .turn button", has_text="layout →").focus()
    for number in (1, 2):
        page.keyboard.press("Enter")
        assert page.evaluate("open.at") == number
        assert page.evaluate("document.activeElement.textContent") == "layout →"


def test_every_key_reaches_rows_that_were_never_near_the_screen(opened: Opener) -> None:
    page = opened()
    page.press("body", "j")
    for _ in range(24):
        page.keyboard.press("j")
    page.keyboard.press("j")  # there is no next one
    number = page.evaluate("document.activeElement.dataset.row")
    assert number == page.evaluate("String(shown.at(-1).number)")
    assert page.evaluate("document.activeElement.getBoundingClientRect().top < innerHeight")


def test_each_instance_has_its_reason_and_a_sign_that_is_not_a_colour_alone(opened: Opener, run: Measured) -> None:
    page = opened("#verdict=wrong_place&method=0")
    row = run.verdicts[(run.verdicts.method == METHODS[0])]
    key = keys_shown(page)[0]
    index = next(entry.index for entry in run.entries if entry.key == key)
    texts = page.locator(".row").first.locator(".tile").first.locator(".why > span").all_inner_texts()
    for text, one in zip(texts, row[row.layout_index == index].to_dict("records"), strict=True):
        sign, label, reason = (part for part in text.split("\n") if part)
        assert label == f"{one['colour']} {one['category']}"
        ok = bool(one["success"])
        letter = "N" if not one["detected"] else "P" if not ok else "✓" if one["attr"] else "C"
        assert sign == f"{one['instance'] + 1}{letter}"
        assert reason.startswith("no such object" if not one["detected"] else f"IoU {one['iou']:.2f}")
    assert {text.split("\n")[0][-1] for text in texts} >= {"P"}
    assert page.locator("img:not([alt])").count() == 0


def test_light_dark_and_a_phones_width(opened: Opener) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        page = opened(color_scheme=scheme, viewport={"width": 360, "height": 700})
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.locator(".tile").first.click()
        assert page.evaluate("document.getElementById('viewer').scrollWidth") <= 360
    assert len(grounds) == 2


def test_on_paper_there_are_pictures_and_no_controls(opened: Opener) -> None:
    page = opened()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".row:visible").count() == page.locator(".row:visible .tiles").count() == 24
    assert not page.locator("#filters").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert page.locator("#rows .row:not([hidden])").count() == 25


def test_the_legend_holds_one_method(opened: Opener) -> None:
    page = opened()
    page.locator(".legend button").first.click()
    page.mouse.move(0, 0)
    assert page.locator(".series.dim").count() == 2 * page.locator(".series[data-series='0']").count()
    assert page.locator(".series.dim[data-series='0']").count() == 0


def test_a_large_picture_comes_from_beside_the_page(
    browser: Any, run: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.report.html.gallery.THUMBNAIL", 32)
    width = "document.querySelector('#viewer img').naturalWidth"
    for single_file in (False, True):
        file = write_page([run], tmp_path / str(single_file), single_file)
        page = new_page(browser)
        page.goto(f"{file.as_uri()}#order=file")
        page.press("body", "j")
        assert page.evaluate("document.activeElement.querySelector('img').naturalWidth") in (0, 32)
        page.keyboard.press("Enter")
        for _ in range(100):  # waiting in the page needs eval, which its policy forbids
            if page.evaluate(width) == 64:
                break
            page.wait_for_timeout(50)
        assert page.evaluate(width) == 64
        page.close()


def test_800_layouts_and_four_methods_open_in_time(browser: Any, run: Measured, tmp_path: Path) -> None:
    """Processor time of the page, which does not depend on what else the machine does."""
    file = write_page([many(run, load_layouts("mini"), 4)], tmp_path)
    page = new_page(browser, viewport={"width": 1300, "height": 900})
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def used() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    start = used()
    page.goto(file.as_uri())
    assert page.locator(".row").count() == 800
    assert used() - start < 2
    page.evaluate("document.getElementById('pictures').scrollIntoView()")
    page.locator(".tile").first.wait_for()
    start = used()
    frame = "new Promise((done) => requestAnimationFrame(done))"
    page.evaluate(f"(async () => {{ for (let k = 0; k < 100; k++) {{ scrollBy(0, 60); await {frame}; }} }})()")
    assert (used() - start) / 100 < 0.05  # seconds a frame
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.locator("#rows .row:last-child .tile").first.wait_for(state="attached")
    assert page.locator(".tile").count() < 400  # what is far away is taken down again


def test_actions_and_styles_are_shown_and_filtered(run_fake_job: JobRunner, browser: Any, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"layouts": "mini-combined", "methods": ("migc@combined",), "limit": 10}
    run = Measured.read(run_fake_job("combined", **fields))
    page = new_page(browser)
    page.goto(write_page([run], tmp_path / "page").as_uri() + "#verdict=action_reversed")
    page.evaluate("document.getElementById('pictures').scrollIntoView()")
    own = run.conditions.interactions.query("method != 'ceiling'")
    for kind, outcome in (("action_reversed", "reversed"), ("action_none", "none"), ("action_right", "right")):
        page.select_option("[name=verdict]", kind)
        assert set(keys_shown(page)) == wanted(run, own[own.outcome == outcome])
    styles = run.conditions.styles.query("method != 'ceiling'")
    page.select_option("[name=verdict]", "style_other")
    assert set(keys_shown(page)) == wanted(run, styles[styles.success == 0])
    page.locator(".tile").first.wait_for()
    first = next(entry for entry in run.entries if entry.key == keys_shown(page)[0])
    own = own[(own.layout_index == first.index) & (own.method == "migc@combined")].sort_values("interaction")
    letters = {"right": "✓", "other": "O", "none": "N", "reversed": "R"}
    tile = page.locator(".row .tile").first
    assert tile.locator("path.action").count() == len(own) > 0
    plates = [text for text in tile.locator("svg text").all_text_contents() if text[0] in "AS"]
    assert plates == [*(f"A{k + 1}{letters[outcome]}" for k, outcome in enumerate(own.outcome)), "SO"]
    line = page.locator(".row .tile").first.locator(".why > span").last
    assert line.inner_text().split("\n")[:2] == ["SO", f"style {first.style_name}"] and "found " in line.inner_text()
    page.close()
