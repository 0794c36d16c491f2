"""The page: gradio around the plain functions of this package. Beside ``serve`` the only module that imports gradio."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import gradio as gr

from amdm.compositions.registry import COMPOSITIONS
from amdm.errors import InputError
from amdm.mini.vocabulary import ACTIONS, CATEGORIES, COLOURS, STYLES
from amdm.studio.choices import AUTHORS, LONGEST_LIST, MAX_SEED, MAX_STEPS, Choices, models_of, usual
from amdm.studio.drawing import MAX_BOXES, layout_file, page_of_file, read_page
from amdm.studio.repeat import LAYOUT_FILE
from amdm.studio.show import Shown, message_view
from amdm.studio.style import mini_style, uploaded_style
from amdm.studio.work import MAX_WAITING, Job, Studio, conditions, notes

SET_FILE = "layout-set.json"
EXAMPLE = {
    "caption": "",
    "boxes": [
        {"phrase": "a red circle", "box": [0.06, 0.1, 0.36, 0.4]},
        {"phrase": "a blue arch", "box": [0.62, 0.56, 0.94, 0.9]},
    ],
    "joins": [{"subject": 0, "action": "pushes", "object": 1}],
    "style": None,
}
FONTS = ("system-ui", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif")
MONO = ("ui-monospace", "DejaVu Sans Mono", "monospace")


# What the canvas asks of the server, by these names. None takes a path, or evaluates a text.


def read_layout(text: Any) -> dict[str, Any]:
    """A layout file's text, for the canvas."""
    return _answered(lambda: {"page": page_of_file(text)})


def save_layout(page: Any) -> dict[str, Any]:
    """The file of the drawing, for ``amdm generate``."""
    return _answered(lambda: {"name": LAYOUT_FILE, "text": layout_file(read_page(page))})


def save_set(page: Any) -> dict[str, Any]:
    """The same, for ``amdm-bench --layouts``."""
    return _answered(lambda: {"name": SET_FILE, "text": layout_file(read_page(page), as_set=True)})


def read_style(text: Any) -> dict[str, Any]:
    """An uploaded style picture: ``{"name", "data"}``, the data in base64."""

    def read() -> dict[str, Any]:
        content = _json(text)
        return {"style": uploaded_style(content.get("data"), content.get("name")).for_page()}

    return _answered(read)


def choose_style(style: Any) -> dict[str, Any]:
    """A style picture of the mini world."""
    return _answered(lambda: {"style": mini_style(style).for_page()})


class Page:
    """What the buttons and fields of one studio's page do."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self._cancels: dict[str, set[threading.Event]] = {}

    def usual(self, target: Any, auxiliaries: Any, semantics: Any) -> tuple[Any, ...]:
        """s, w and η for what is chosen; a field that the composition does not have cannot be typed into."""
        models = [target, *(one for one in models_of(self.studio.profile) if one in auxiliaries and one != target)]
        found = usual(self.studio.profile, models, semantics)
        alone = len(models) == 1
        own = "s" in found["fields"] and not alone
        return (
            gr.update(value=found["s"], interactive=own),
            gr.update(value=found["weights"], interactive=bool(found["weights"]) and not alone),
            gr.update(value=found["eta"], interactive=bool(found["eta"]) and not alone),
        )

    def generate(self, request: gr.Request, page: Any, *chosen: Any) -> Iterator[str]:
        """What the page shows, again and again until the job has ended."""
        names = ("target", "auxiliaries", "semantics", "s", "weights", "eta", "steps", "seed")
        try:
            drawing = read_page(page)
            choices = Choices.read(self.studio.profile, **dict(zip(names, chosen, strict=True)))
            runs = choices.runs(conditions(drawing))
        except InputError as error:
            yield json.dumps(message_view(str(error)))
            return
        shown = Shown(drawing, choices, runs, self.studio.loading, notes(self.studio.profile, drawing.layout))
        cancel, whose = threading.Event(), str(request.session_hash)
        self._cancels.setdefault(whose, set()).add(cancel)
        try:
            yield json.dumps(shown.view())
            for update in self.studio.draw(Job(drawing, choices, tuple(runs), cancel)):
                shown.take(update)
                yield json.dumps(shown.view())
        finally:
            self._cancels[whose].discard(cancel)
            if not self._cancels[whose]:
                del self._cancels[whose]

    def cancel(self, request: gr.Request) -> None:
        """End this page's job within a step, or take it out of the line."""
        for cancel in tuple(self._cancels.get(str(request.session_hash), ())):
            cancel.set()


def build(studio: Studio) -> gr.Blocks:
    """The page of a studio."""
    page = Page(studio)
    with gr.Blocks(analytics_enabled=False, title="amdm studio") as blocks:
        scored = "scored by its judge" if studio.judge is not None else "not scored: no judge is installed for it"
        about = f"Draw boxes, name them, join two by an action, and generate. Profile {studio.profile}, {scored}."
        gr.HTML(f"<h1>amdm studio</h1><p>{about}</p>", elem_classes="studio-title", js_on_load=None)
        editor = _component(
            json.dumps(EXAMPLE if studio.profile == "mini" else EXAMPLE | {"joins": []}),
            ("canvas.js", "editor.js", "files.js"),
            words=json.dumps(_words(studio.profile)),
            server_functions=[read_layout, save_layout, save_set, read_style, choose_style],
        )
        fields = _fields(page)
        with gr.Row(elem_classes="studio-go"):
            go = gr.Button("Generate", variant="primary", elem_id="generate")
            stop = gr.Button("Cancel", elem_id="cancel")
        results = _component(json.dumps(_NOTHING), ("results.js",))
        go.click(
            page.generate,
            [editor, *fields],
            results,
            show_progress="hidden",
            concurrency_limit=None,  # the studio keeps the line: a job that gradio holds back cannot be cancelled
            trigger_mode="once",
            api_visibility="private",
        )
        stop.click(page.cancel, queue=False, show_progress="hidden", api_visibility="private")
        blocks.unload(page.cancel)
    blocks.queue(max_size=MAX_WAITING, api_open=False)
    return blocks


def theme() -> Any:
    """The report page's ground and ink; fonts of the system, none from elsewhere."""
    return gr.themes.Base(font=list(FONTS), font_mono=list(MONO)).set(
        body_background_fill="#f6f7f8",
        body_background_fill_dark="#111417",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1a1e23",
        block_info_text_color="#57606a",
        block_info_text_color_dark="#a0a9b3",
        block_title_text_color="#16191d",
        block_title_text_color_dark="#e8ebee",
    )


_NOTHING = message_view("") | {"state": "empty", "message": "Nothing is drawn yet: press “Generate”."}


def _fields(page: Page) -> list[Any]:
    """Models and settings, in the order in which :meth:`Page.generate` takes them."""
    profile = page.studio.profile
    models = models_of(profile)
    first = usual(profile, models[:2], AUTHORS)
    with gr.Row():
        target = gr.Dropdown(
            list(models),
            value=models[0],
            label="Target",
            info="draws the picture",
            elem_id="target",
            filterable=False,
            min_width=200,  # or its arrow lies on the name, on a phone
        )
        others = gr.CheckboxGroup(
            list(models),
            value=[models[1]],
            label="Auxiliaries",
            info="have a say in the first steps",
            elem_id="others",
            min_width=200,
        )
        semantics = gr.Dropdown(
            list(COMPOSITIONS), value=AUTHORS, label="Composition", info="how they draw together", elem_id="semantics"
        )
    with gr.Row():
        s = _number("s", "steps that are aggregated", first["s"], 0, MAX_STEPS)
        w = gr.Textbox(first["weights"], label="w", info="weights", max_length=LONGEST_LIST, elem_id="w", min_width=100)
        eta = gr.Textbox(
            first["eta"],
            label="η / √dim",
            info="pull-back of each model",
            max_length=LONGEST_LIST,
            elem_id="eta",
            min_width=200,
        )
        steps = _number("T", "steps in all", first["steps"], 1, MAX_STEPS)
        seed = _number("Seed", "same seed, same picture", 0, 0, MAX_SEED)
    for one in (target, others, semantics):
        one.input(
            page.usual, [target, others, semantics], [s, w, eta], show_progress="hidden", api_visibility="private"
        )
    return [target, others, semantics, s, w, eta, steps, seed]


def _number(label: str, info: str, value: int, low: int, high: int) -> Any:
    limits = {"precision": 0, "minimum": low, "maximum": high}
    return gr.Number(value, label=label, info=info, elem_id=label.lower(), min_width=130, **limits)


def _component(value: str, scripts: tuple[str, ...], **given: Any) -> gr.HTML:
    """A component of our own. Its template is fixed: gradio evaluates what stands in one."""
    script = "\n".join(static_text(name) for name in ("shared.js", *scripts))
    return gr.HTML(value, html_template="<div></div>", js_on_load=script, apply_default_css=False, **given)


def static_text(name: str) -> str:
    """A file of the page."""
    return files("amdm.studio").joinpath("static", name).read_text(encoding="utf-8")


def _words(profile: str) -> dict[str, Any]:
    """What the canvas offers: of the mini world its vocabulary, else free phrases alone."""
    mini = profile == "mini"
    return {
        "colours": COLOURS if mini else (),
        "categories": CATEGORIES if mini else (),
        "actions": ACTIONS if mini else (),
        "styles": STYLES if mini else (),
        "most": MAX_BOXES,
    }


def _json(text: Any) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise InputError("what the page sent cannot be read") from None
    if not isinstance(content, dict):
        raise InputError("what the page sent cannot be read")
    return content


def _answered(make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was asked for, or ``{"error": text}``."""
    try:
        return make()
    except InputError as error:
        return {"error": str(error)}
