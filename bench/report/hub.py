"""A run as the Hugging Face Hub takes results: model cards, evaluation results, a dataset card. Nothing is uploaded."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from huggingface_hub import (
    DatasetCard,
    DatasetCardData,
    EvalResult,
    EvalResultEntry,
    ModelCard,
    ModelCardData,
    eval_result_entries_to_yaml,
)
from huggingface_hub.utils import yaml_dump

from amdm.errors import InputError, printable
from amdm.hub import is_repository
from amdm.io.files import new_folder
from bench.cocomig.metrics import METRICS, averages
from bench.job.batches import CEILING
from bench.report.measured import Measured
from bench.report.text import as_markdown, interval_text
from bench.run.images import file_name
from bench.run.info import RunInfo

MINI_NOTE = "mini world: small networks and drawn shapes, not comparable with figures at full size or of the paper"
TAGS = ["amdm", "layout-to-image"]
TABLES = {
    "samples": "a row a picture: status, seconds, evaluations of the models, SHA-256 of the picture",
    "verdicts": "a row an instance: found, best IoU, in place, in colour",
    "findings": "a row an instance: the box and the colour that the verdict was given on",
    "interactions": "a row an interaction: the action asked for and the one found",
    "styles": "a row a picture: the style asked for and the one found",
}
SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M", 10**7: "1M<n<10M"}
"""Rows (exclusive) → how the Hub's cards say it."""


def export_hub(run: Path, to: Path, dataset: str | None = None) -> list[Path]:
    """Write ``to/dataset`` (card and Parquet) and ``to/models/METHOD`` (card with ``model-index``) of a run.

    Args:
        dataset: ``user/name`` of the benchmark on the Hub; each model then has ``.eval_results/NAME.yaml`` of it, too.

    Returns:
        The folders, each the content of a repository. Metrics in them are fractions over all levels.

    Raises:
        InputError: nothing is judged yet, ``to`` is there already, or ``dataset`` is no repository's name.
    """
    if dataset is not None and not is_repository(dataset):
        raise InputError(f"{dataset!r} is not of the form user/name", field="dataset")
    measured, info = Measured.read(run), RunInfo.read(run)
    card = _Cards(measured, info, dataset)
    with new_folder(to) as folder:
        made = [_write_dataset(folder / "dataset", card)]
        for row in card.averages:
            if row["method"] != CEILING:
                made.append(_write_model(folder / "models" / file_name(row["method"]), card, row))
    return [to / path.relative_to(folder) for path in made]


class _Cards:
    """What the cards of a run say.

    averages: the rows of its metrics over all levels. mini: its figures are of the mini world.
    """

    def __init__(self, measured: Measured, info: RunInfo, dataset: str | None) -> None:
        self.measured, self.info, self.dataset = measured, info, dataset
        self.averages = list(averages(measured.metrics).values())
        self.mini = measured.mini or info.job.profile == "mini"
        self.tags = [*TAGS, *(["mini-world"] if self.mini else [])]
        self.world = " (mini world)" if self.mini else ""
        self.made_by = f"Made by {code(measured.info.command)}."

    def results(self, row: Mapping[str, Any]) -> list[EvalResult]:
        """Each metric of a method, for the ``model-index``."""
        about = self.measured.info
        arguments = {
            "layout_hash": about.layout_hash,
            "layouts": about.count,
            "seeds": list(about.seeds),
            "judge": printable(about.judge),
        }
        return [
            EvalResult(
                task_type="text-to-image",
                task_name="layout to image",
                dataset_type=self.dataset or printable(about.layouts),
                dataset_name=printable(about.layouts) + self.world,
                dataset_args=arguments,
                metric_type=name,
                metric_name=METRICS[name].label + self.world,
                metric_value=value,
            )
            for name, value in _values(row)
        ]

    def entries(self, row: Mapping[str, Any], dataset: str) -> list[EvalResultEntry]:
        """The same as ``.eval_results`` has it; a task of the benchmark is a metric."""
        about = self.measured.info
        notes = f"{about.count} layouts of {about.layouts}, seeds {list(about.seeds)}, judge {about.judge}"
        notes = printable(f"{MINI_NOTE}; {notes}" if self.mini else notes)
        date = self.info.progress.finished
        return [
            EvalResultEntry(dataset_id=dataset, task_id=name, value=value, date=date, notes=notes)
            for name, value in _values(row)
        ]

    def about(self) -> list[str]:
        """Paragraphs of every card: which layouts and judge, what is missing, what the verdicts cannot say."""
        about = self.measured.info
        seeds = ", ".join(map(str, about.seeds))
        lines = [f"- {code(note)}" for note in (*about.unjudged, *about.notes)]
        lines += [f"- the run went on under another setting: {code(str(change))}" for change in about.forced]
        return [
            f"> **Figures of the {MINI_NOTE}.**" if self.mini else "",
            f"{about.count} of {about.full_size} layouts of {code(about.layouts)} ({code(about.layout_hash[:12])}), "
            f"seeds {seeds}, judge {code(about.judge)}. Per cent, over all levels, with 95 % intervals over layouts.",
            "\n".join(lines),
        ]


def code(text: str) -> str:
    """A text of a file as a code span of Markdown, in which nothing is a link, a picture or HTML.

    >>> code("![x](y) <b>`c`")
    '`` ![x](y) <b>`c` ``'
    """
    text = " ".join(printable(text).split()) or " "
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def _write_dataset(folder: Path, card: _Cards) -> Path:
    measured = card.measured
    tables = {
        "samples": measured.samples,
        "verdicts": measured.verdicts,
        "findings": measured.findings,
        "interactions": measured.conditions.interactions,
        "styles": measured.conditions.styles,
    }
    tables = {name: table for name, table in tables.items() if len(table)}
    (folder / "data").mkdir(parents=True)
    for name, table in tables.items():
        table.to_parquet(folder / "data" / f"{name}.parquet", index=False)
    rows = max(map(len, tables.values()))
    data = DatasetCardData(
        pretty_name=printable(f"{measured.name}: {measured.info.layouts}") + card.world,
        tags=card.tags,
        task_categories=["text-to-image"],
        size_categories=[next((name for most, name in SIZES.items() if rows < most), "n>10M")],
        configs=[{"config_name": name, "data_files": f"data/{name}.parquet"} for name in tables],
    )
    shown = [{"method": code(row["method"]), "pictures": row["images"], **_cells(row)} for row in card.averages]
    ceiling = f"{code(CEILING)}: true renderings of the same layouts under the same judge."
    body = [
        f"# {code(measured.info.layouts)}: samples and verdicts{card.world}",
        *card.about(),
        as_markdown(pd.DataFrame(shown)),
        ceiling if any(row["method"] == CEILING for row in card.averages) else "",
        "\n".join(f"- `data/{name}.parquet`: {TABLES[name]}" for name in tables),
        "Rows of all tables are joined by method, layout_index and seed. Pictures are not among them.",
        card.made_by,
    ]
    DatasetCard(_page(data, body)).save(folder / "README.md")
    return folder


def _write_model(folder: Path, card: _Cards, row: Mapping[str, Any]) -> Path:
    method = str(row["method"])
    data = ModelCardData(
        model_name=printable(method),
        eval_results=card.results(row),
        pipeline_tag="text-to-image",
        tags=card.tags,
    )
    rows = pd.DataFrame([{"metric": name, "%": value} for name, value in _cells(row).items()])
    about = card.measured.info
    expected = about.count * len(about.seeds)
    body = [
        f"# {code(method)}: evaluation{card.world}",
        *card.about(),
        as_markdown(rows),
        f"{row['images']} of {expected} pictures were judged, {row['instances']} instances.",
        card.made_by,
    ]
    ModelCard(_page(data, body)).save(folder / "README.md")
    if card.dataset is not None:
        results = folder / ".eval_results"
        results.mkdir()
        entries = eval_result_entries_to_yaml(card.entries(row, card.dataset))
        name = f"{card.dataset.partition('/')[2]}.yaml"
        (results / name).write_text(yaml_dump(entries, sort_keys=False), encoding="utf-8")
    return folder


def _values(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The metrics that are known, rounded as in ``summary.json``."""
    for name in METRICS:
        if name in row and not math.isnan(row[name]):
            yield name, round(float(row[name]), 6)


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    """By a metric's label, value and interval in per cent."""
    return {
        METRICS[name].label: f"{100 * value:.2f} ({interval_text(row[f'{name}_low'], row[f'{name}_high'])})"
        for name, value in _values(row)
    }


def _page(data: ModelCardData | DatasetCardData, body: list[str]) -> str:
    text = "\n\n".join(part for part in body if part)
    return f"---\n{data.to_yaml()}\n---\n\n{text}\n"
