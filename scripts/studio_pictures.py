"""Pictures of the studio for docs/: python scripts/studio_pictures.py. Needs chromium and the extras ui and browser."""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageColor
from playwright.sync_api import Page, sync_playwright

from amdm.model_set import LoadOptions
from amdm.studio.serve import Served
from amdm.studio.work import Studio
from bench.report.palette import VERDICTS
from bench.studio import judge

DOCS = Path(__file__).resolve().parents[1] / "docs"
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
LARGEST = 200_000
"""Bytes of a picture."""


def main() -> None:
    """Light: the whole page after a run; dark: the editor; on a phone: the pictures."""
    served = Served(Studio("mini", LoadOptions.parse("mini"), judge("mini"))).start()
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGUMENTS))

        def opened(scheme: str, width: int, height: int) -> Page:
            size = {"width": width, "height": height}
            page = browser.new_context(color_scheme=scheme, viewport=size).new_page()  # type: ignore[arg-type]
            page.set_default_timeout(300_000)
            page.goto(served.address)
            page.locator(".studio-canvas").wait_for()
            page.wait_for_timeout(1000)
            return page

        page = opened("light", 1280, 900)
        generate(page)
        page.locator(".studio-repeat summary").last.click()
        store(page, "studio-light.png", whole=True)
        page = opened("dark", 1180, 820)
        page.get_by_label("style of the mini world").select_option("stripes")
        page.locator(".studio-thumbnail").wait_for()
        page.locator("#others").get_by_label("ip-adapter").check()
        page.locator("[data-box='1']").focus()
        generate(page)
        store(page, "studio-dark.png", whole=True)
        page = opened("light", 390, 800)
        generate(page)
        store(page, "studio-phone.png", whole=True)
        browser.close()
    served.close()


def generate(page: Page) -> None:
    """Until the pictures are there."""
    page.locator("#generate").click()
    page.locator(".studio-results[data-state=done]").wait_for(timeout=300_000)
    page.wait_for_timeout(500)


def store(page: Page, name: str, whole: bool = False) -> None:
    """What is on the screen, or the whole page, as a small file."""
    image = Image.open(BytesIO(page.screenshot(full_page=whole))).convert("RGB")
    path = DOCS / name
    image.save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        in_few_colours(image).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size // 1024} kB")


def in_few_colours(image: Image.Image) -> Image.Image:
    """In 256: the commonest as they are, so that grounds and signs stay true, and others near those of the pictures."""
    counted = sorted(image.getcolors(2**24) or (), key=lambda one: -one[0])
    signs = [ImageColor.getrgb(one) for one in VERDICTS.values()]
    common = [value for colour in (*signs, *(one for _, one in counted[:92])) for value in colour]  # type: ignore[union-attr]
    palette = Image.new("P", (1, 1))
    palette.putpalette([*common, *(image.quantize(160).getpalette() or ())[:480]])
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


if __name__ == "__main__":
    main()
