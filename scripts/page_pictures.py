"""Pictures of a run's page for docs/: python scripts/page_pictures.py RUN. Needs chromium and the extra ``browser``."""

from __future__ import annotations

import shutil
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from bench.report.html.page import write_page
from bench.report.measured import Measured

DOCS = Path(__file__).resolve().parents[1] / "docs"
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def main(run: Path) -> None:
    """Light: results and charts; dark: the pictures; on a phone: one picture in large."""
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as started:
        address = write_page([Measured.read(run)], Path(scratch)).as_uri()
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGUMENTS))

        def opened(scheme: str, width: int, height: int, fragment: str = "") -> Page:
            size = {"width": width, "height": height}
            page = browser.new_context(color_scheme=scheme, viewport=size).new_page()  # type: ignore[arg-type]
            page.goto(address + fragment)
            return page

        page = opened("light", 1280, 960)
        store(page, "report-results.png")
        page = opened("dark", 1180, 790, "#disagree=1")
        page.evaluate("document.getElementById('pictures').scrollIntoView()")
        page.locator(".tile img").first.wait_for()
        page.wait_for_timeout(500)
        store(page, "report-pictures.png")
        page = opened("light", 390, 800, "#disagree=1")
        page.press("body", "j")
        page.keyboard.press("Enter")
        page.wait_for_timeout(500)
        store(page, "report-phone.png")
        browser.close()


def store(page: Page, name: str) -> None:
    """What is on the screen, as a small file."""
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    image.save(DOCS / name, optimize=True)
    print(f"{DOCS / name}: {(DOCS / name).stat().st_size // 1024} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
