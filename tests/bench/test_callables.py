"""The user's own function as a generator."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from amdm.errors import InputError
from bench.callables import find_function, make_generator, seed_of
from bench.layouts.named import load_layouts
from bench.store import read_run_info, read_table
from bench.verify import verify_run
from tests.bench.conftest import Call

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "any-generator.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
RUN = ("run", "--layouts", "mini", "--limit", "10", "--out", "run")
LAYOUTS = [entry.layout for entry in load_layouts("mini").subset(5).entries]


@pytest.fixture(autouse=True)
def forgotten_modules(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Modules that a test imports are imported again by the next."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - before:
        if name.startswith("user_"):
            del sys.modules[name]


def module(text: str, name: str = "user_module") -> str:
    Path(f"{name}.py").write_text(text)
    return f"{name}:make"


def test_the_example_of_the_docs_runs_and_its_run_is_whole(call: Call, fake_networks: None) -> None:
    Path("user_example.py").write_text(EXAMPLE)
    answer = call(*RUN, "--generator", "user_example:my_function", "--seeds", "0,1", "--batch", "3")
    assert answer.status == 0, answer.err
    assert "| my_function |" in answer.out and "`mini`" in answer.out
    info = read_run_info(Path("run"))
    assert info["origin"] == "user_example:my_function"
    assert info["digest"] == find_function("user_example:my_function")[1] and len(info["digest"]) == 64
    samples = read_table(Path("run"), "samples")
    assert len(samples) == 20 and set(samples.seed) == {0, 1} and samples.sha256.nunique() == 20
    assert set(samples.batch_size) == {3, 1}
    assert verify_run(Path("run")) == []
    assert (
        "complete: 20 images"
        in call(*RUN, "--generator", "user_example:my_function", "--seeds", "0,1", "--batch", "3").out
    )


def test_a_changed_function_is_another_run(call: Call, fake_networks: None) -> None:
    Path("user_example.py").write_text(EXAMPLE)
    assert call(*RUN, "--generator", "user_example:my_function").status == 0
    del sys.modules["user_example"]
    Path("user_example.py").write_text(EXAMPLE + "# changed\n")
    again = call(*RUN, "--generator", "user_example:my_function")
    assert again.status == 2 and again.error.startswith("run/run.json: digest: was ")


def test_what_the_function_raises_is_recorded_after_three_tries(call: Call, fake_networks: None) -> None:
    Path("user_example.py").write_text(
        EXAMPLE + "\ndef make(layouts, seeds):\n"
        "    if any(layout == refused for layout in layouts):\n        raise RuntimeError('cannot\\nhold it')\n"
        "    return my_function(layouts, seeds)\n"
        "from bench.layouts.named import load_layouts\nrefused = load_layouts('mini').entries[3].layout\n"
    )
    answer = call(*RUN, "--generator", "user_example:make")
    assert answer.status == 1 and "9 of 10 images were judged" in answer.out
    samples = read_table(Path("run"), "samples").set_index("layout_index")
    failed = samples[samples.status == "failed"]
    assert list(failed.index) == [3] and failed.attempts[3] == 3 and "cannot" in failed.error[3]
    assert 3 not in set(read_table(Path("run"), "verdicts").layout_index)


def test_a_function_that_always_fails_says_why(call: Call, fake_networks: None) -> None:
    answer = call(*RUN, "--generator", module("def make(layouts, seeds):\n    return 1 / 0\n"))
    assert answer.status == 2
    assert "all 10 samples failed, the first with ZeroDivisionError: division by zero" in answer.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("user_module", "", "'user_module' is not of the form module:function"),
        ("user_module:a.b", "", "is not of the form module:function"),
        ("../user_module:make", "", "is not of the form module:function"),
        ("user_absent:make", "", "user_absent: generator: cannot be imported: ModuleNotFoundError"),
        ("user_module:make", "import torch_absent", "No module named 'torch_absent'"),
        ("user_module:make", "def make(:", "user_module: generator: cannot be imported: SyntaxError"),
        ("user_module:make", "raise OSError('two\\nlines')", r"OSError: two\nlines"),
        ("user_module:make", "make = 3", "has no function 'make'"),
        ("user_module:other", "make = print", "has no function 'other'"),
    ],
)
def test_what_cannot_be_imported_is_one_line_and_nothing_is_written(
    call: Call, fake_networks: None, name: str, text: str, message: str
) -> None:
    Path("user_module.py").write_text(text)
    answer = call(*RUN, "--generator", name)
    assert answer.status == 2 and message in answer.error
    assert not Path("run").exists() and not Path("reports").exists()


@pytest.mark.parametrize("name", ["", "ceiling", "a|b", "x" * 61, "a\nb", "<b>"])
def test_names_that_tables_cannot_show_are_refused(call: Call, fake_networks: None, name: str) -> None:
    answer = call(*RUN, "--generator", module("def make(layouts, seeds):\n    pass\n"), "--method", name)
    assert answer.status == 2 and answer.error.startswith("method: ") and not Path("run").exists()


def test_layouts_and_seeds_are_given_and_pictures_of_any_form_taken(call: Call, tmp_path: Path) -> None:
    make = make_generator(
        module(
            "import numpy as np\nfrom PIL import Image\nasked = []\n"
            "def make(layouts, seeds):\n    asked.append((layouts, seeds))\n"
            "    return [Image.new('L', (8, 4), 7), np.full((5, 6, 3), 9, np.uint8)][:len(layouts)]\n"
        )
    )
    keys = ["set/0/0", "set/1/0"]
    made = make("anything", LAYOUTS[:2], keys)
    assert sys.modules["user_module"].asked == [(LAYOUTS[:2], [seed_of(key) for key in keys])]
    assert [image.shape for image in made.images] == [(4, 8, 3), (5, 6, 3)]
    assert made.images[0].max() == made.images[0].min() == 7 and list(made.finite) == [True, True]
    assert len({seed_of(f"set/{k}/0") for k in range(100)}) == 100 and 0 <= seed_of("x") < 2**32


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.zeros((2, 4, 4, 3), np.float32), "float32 of shape (4, 4, 3)"),
        (np.zeros((2, 3, 4, 4), np.uint8), "uint8 of shape (3, 4, 4)"),
        ([Image.new("RGB", (4, 4))], "returned 1 pictures for 2 layouts"),
        ([None, None], "object of shape ()"),
    ],
)
def test_what_is_no_picture_is_refused(call: Call, returned: Any, message: str) -> None:
    make = make_generator(module("def make(layouts, seeds):\n    return answer\n"))
    sys.modules["user_module"].answer = returned  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=re.escape(message)):
        make("anything", LAYOUTS[:2], ["a", "b"])
