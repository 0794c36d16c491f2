from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from amdm.layout import Layout
from bench.layouts.layout_set import Entry, LayoutSet
from bench.report.measured import Measured
from tests.bench.conftest import JobRunner

HOSTILE = "</script><script>document.title = 'taken over'</script><img src=x onerror=\"document.title = 'taken over'\">"
METHODS = ("interactdiffusion", HOSTILE, "ceiling")


def hostile(run: Measured) -> Measured:
    """The same with markup for a caption, and for the name of its second method."""

    def renamed(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(method=table.method.replace("migc", HOSTILE))

    def caption(entry: Entry) -> Entry:
        return replace(entry, layout=Layout(HOSTILE, entry.layout.instances))

    return replace(
        run,
        info=replace(run.info, methods=METHODS[:2], command=HOSTILE, title=HOSTILE),
        entries=tuple(caption(entry) for entry in run.entries),
        verdicts=renamed(run.verdicts),
        samples=renamed(run.samples),
        findings=renamed(run.findings),
    )


def many(run: Measured, layouts: LayoutSet, methods: int) -> Measured:
    """The run's pictures and verdicts over and over: every layout of a set, under so many methods."""
    names = tuple(f"method {k}" for k in range(methods))
    pools = {level: part.layout_index.unique() for level, part in run.verdicts.groupby("level")}
    source = {entry.index: pools[entry.level][entry.index % len(pools[entry.level])] for entry in layouts.entries}
    places = pd.DataFrame({"layout_index": source.values(), "new": source.keys()})

    def spread(table: pd.DataFrame) -> pd.DataFrame:
        own = table[table.method == run.info.methods[0]].merge(places, on="layout_index")
        own = own.assign(layout_index=own.new).drop(columns="new")
        return pd.concat([own.assign(method=name) for name in names], ignore_index=True)

    tables = {name: spread(getattr(run, name)) for name in ("verdicts", "samples", "findings")}
    info = replace(run.info, methods=names, count=len(layouts))
    return replace(run, info=info, entries=layouts.entries, **tables)


@pytest.fixture
def run_measured(run_fake_job: JobRunner) -> Callable[..., Measured]:
    """A small run, as a page shows it."""
    return lambda name="run", **fields: Measured.read(run_fake_job(name, **fields))
