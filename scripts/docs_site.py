"""Hooks of mkdocs: the site has the pages of docs/, the README and its fellows, the reports, and every command's help.

Pages keep the links that they have in the repository; they are turned into the site's here, so that both are right.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer import Context
from typer.cli import get_docs_for_click
from typer.main import get_command

ROOT = Path(__file__).resolve().parents[1]
RENAMED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "amdm/mini/MODEL_CARD.md": "model-card.md",
}
"""Path in the repository → in the site, of pages outside docs/."""
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add what lies outside docs/: the pages of :data:`RENAMED`, reports, and what any page links to."""
    for path, name in RENAMED.items():
        files.append(_file(config, name, path))
    for path in sorted((ROOT / "reports").rglob("*.md")):
        name = str(path.relative_to(ROOT))
        files.append(_file(config, name, name))
    for page in [file for file in files if file.src_uri.endswith(".md")]:
        for target in LINK.findall(page.content_string):
            path = _in_repository(page.src_uri, target)
            if (ROOT / path).is_file() and files.get_file_from_path(_in_site(path)) is None:
                files.append(_file(config, _in_site(path), path))
    for name, app in _commands().items():
        text = get_docs_for_click(obj=app, ctx=Context(app, info_name=name), name=name, title=f"`{name}`")
        files.append(File.generated(config, f"commands/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """The page with links to where their targets lie in the site."""
    here = PurePosixPath(page.file.src_uri).parent

    def link(found: re.Match[str]) -> str:
        target = _in_site(_in_repository(page.file.src_uri, found[1]))
        return os.path.relpath(target, here)

    return LINK.sub(link, markdown)


def _file(config: Any, name: str, path: str) -> File:
    return File.generated(config, name, abs_src_path=str(ROOT / path))


def _in_repository(page: str, target: str) -> str:
    """Where a link of a page (its path in the site) leads to, from the repository's root."""
    outside = {site: path for path, site in RENAMED.items()}
    home = outside.get(page) or (page if page.startswith("reports/") else f"docs/{page}")
    return os.path.normpath(PurePosixPath(home).parent / target)


def _in_site(path: str) -> str:
    return RENAMED.get(path) or path.removeprefix("docs/")


def _commands() -> dict[str, Any]:
    from amdm.cli.main import app as amdm
    from bench.cli.main import app as bench

    return {"amdm": get_command(amdm), "amdm-bench": get_command(bench)}
