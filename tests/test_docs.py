"""The documentation: its commands are commands, and its site is built, complete and without another host."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from typer import BadParameter, Context
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from tests.conftest import needs

ROOT = Path(__file__).resolve().parents[1]
UsageError = BadParameter.__base__
assert UsageError is not None
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "amdm" / "mini" / "MODEL_CARD.md"]
SHOWN = re.compile(r"(^    |`)((?:amdm|amdm-bench|make) [^`\n#]+)", re.MULTILINE)
VARIABLE = re.compile(r"([A-Z_]+)=('[^']*'|\S*)")


def shown_commands() -> Iterator[tuple[str, str, bool]]:
    """(page, command, to copy) of the documents' command lines, but for those that name a choice or a blank.

    One in a line of text may be a mention that leaves out what a command needs; one in a block is to be copied.
    """
    for page in PAGES:
        for before, found in SHOWN.findall(re.sub(r"\\\n *", "", page.read_text(encoding="utf-8"))):
            line = found.split("  ")[0].strip().rstrip(".,;:")
            begun = line.removesuffix(" …")  # what stands before is checked all the same
            if not any(mark in begun for mark in ("…", "...", "|", "[-")):
                yield page.name, begun, before != "`" and begun == line


@cache
def command(program: str) -> TyperCommand | TyperGroup:
    """The whole command line of a program."""
    from amdm.cli.main import app as amdm
    from bench.cli.main import app as bench

    return get_command({"amdm": amdm, "amdm-bench": bench}[program])


def parse(line: str) -> None:
    """Take a command line apart as its program would, and run nothing.

    Raises:
        UsageError: the program would refuse it, for another reason than a path that is not there.
    """
    program, *words = shlex.split(line)
    found, context = command(program), None
    while isinstance(found, TyperGroup) and words and not words[0].startswith("-"):
        context = Context(found, context, program)
        below = found.get_command(context, words[0])
        if below is None:
            raise UsageError(f"no command {words[0]!r}")
        found, words = below, words[1:]
    if isinstance(found, TyperGroup):  # by name, or an option that acts as soon as it is read, such as --version
        unknown = set(words) - {"--help"} - {name for option in found.params for name in option.opts}
        if unknown:
            raise BadParameter(f"no option {unknown}")
        return
    try:
        found.make_context(program, words, context)
    except BadParameter as error:
        if "does not exist" not in str(error):
            raise


def test_every_command_of_the_documents_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = sorted(set(shown_commands()))
    assert len(lines) > 60
    wrong = []
    for page, line, to_copy in lines:
        if line.startswith("make "):
            words = VARIABLE.sub("", line.removeprefix("make ")).split()
            names = [name for name, _ in VARIABLE.findall(line)]
            if not set(words) <= targets or not all(re.search(rf"\$\({name}\)", makefile) for name in names):
                wrong.append(f"{page}: {line}")
            continue
        try:
            parse(line)
        except UsageError as error:
            message = error.format_message()
            if to_copy or not re.search("^Missing|requires an argument", message):
                wrong.append(f"{page}: {line}: {message}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("given", "out"), [((), "runs/combined"), (("OUT=runs/x",), "runs/x")])
def test_make_combined_writes_the_report_that_the_pages_name(given: tuple[str, ...], out: str) -> None:
    """A report is called as its run."""
    shown = subprocess.run(["make", "-n", "combined", *given], cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = (line for line in shown.stdout.splitlines() if "amdm-bench combined" in line)
    assert f"--out '{out}'" in line


@pytest.mark.parametrize("line", ["amdm-bench runn x", "amdm-bench table --publishd", "amdm generate --steps many"])
def test_what_is_no_command_is_noticed(line: str) -> None:
    with pytest.raises(UsageError):
        parse(line)


class Links(HTMLParser):
    """What a page loads, and what it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "a":
            self.linked += [values.get("href") or ""]
        self.loaded += [values[name] or "" for name in ("src", "href") if name in values and tag != "a"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; mkdocs is strict: a link within it that leads nowhere is an error."""
    needs("material", "dev")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_loads_nothing_of_other_hosts_and_its_links_lead_somewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        found = Links(page.read_text(encoding="utf-8"))
        strange = [one for one in found.loaded if urlsplit(one).netloc and not one.startswith("https://www.w3.org")]
        assert not strange, (page, strange)
        for link in found.linked:
            path = unquote(urldefrag(link)[0])
            if not path or urlsplit(path).scheme or page.name == "404.html":
                continue
            target = (page.parent / path).resolve()
            assert target.exists(), (page.relative_to(site), link)


def test_the_reference_has_every_public_name_and_every_command(site: Path) -> None:
    import amdm
    import bench

    for package in (amdm, bench):
        page = (site / "api" / package.__name__ / "index.html").read_text(encoding="utf-8")
        assert not [name for name in package.__all__ if f'.{name}"' not in page]
    for program in ("amdm", "amdm-bench"):
        page = (site / "commands" / program / "index.html").read_text(encoding="utf-8")
        group = command(program)
        assert isinstance(group, TyperGroup) and group.commands
        assert not [name for name in group.commands if f"{program} {name}" not in page]


def test_the_reports_lie_beside_the_pages(site: Path) -> None:
    assert (site / "reports" / "mini" / "grid.png").exists() and (site / "report-pictures.png").exists()


def test_no_help_text_holds_what_a_terminal_takes_for_markup() -> None:
    """Such as a lower-case word in brackets, which rich swallows: `amdm[ray]` was shown as `amdm`."""

    def texts(found: TyperCommand | TyperGroup) -> Iterator[str]:
        yield found.help or ""
        for below in found.commands.values() if isinstance(found, TyperGroup) else ():
            assert isinstance(below, TyperCommand | TyperGroup)
            yield from texts(below)
        yield from (getattr(one, "help", None) or "" for one in found.params)

    shown = [text for program in ("amdm", "amdm-bench") for text in texts(command(program))]
    assert len(shown) > 300 and not [text for text in shown if re.search(r"\[[a-z#/@]", text)]
