"""Judges of a run whose pictures lie in a remote folder, and how many pictures they are told of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from amdm.errors import InputError
from bench.io.remote import RemoteFolder
from bench.job.batches import groups
from bench.run.store import RunStore
from bench.stages.generate import GroupResult, SampleResult, record_group
from bench.stages.streaming import JudgeWorker
from bench.stages.unjudged import Unjudged
from bench.stages.verdicts import Picture
from tests.bench.fakes import BlobDetector, guessing_judges, paint, run_settings, small_set


def test_a_judge_on_another_machine_fetches_what_it_judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    working, temporary = tmp_path / "working", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    entries = small_set(3).entries
    images = paint("migc", [one.layout for one in entries], [one.key for one in entries]).images
    batch = [Picture("migc", 0, one, working / "images" / "migc" / f"{one.key}.png") for one in entries]
    batch[0].path.parent.mkdir(parents=True)
    for one, image in zip(batch, images, strict=True):
        Image.fromarray(image).save(one.path)
    expected = JudgeWorker(BlobDetector, guessing_judges)(batch).verdicts
    assert expected.judged["verdicts"] and not expected.events

    remote = RemoteFolder.parse(f"memory://{tmp_path.name}/run")
    remote.send((one.path.relative_to(working).as_posix(), one.path) for one in batch)
    shutil.rmtree(working)
    judge = JudgeWorker(BlobDetector, guessing_judges, (remote, working))
    assert judge(batch).verdicts == expected
    assert not working.exists() and not list(temporary.iterdir())
    remote._files.rm_file(f"{remote._root}/images/migc/{entries[1].key}.png")
    with pytest.raises(InputError, match="is absent"):
        judge(batch)


def test_pictures_that_were_there_count_where_they_are_judged_with_new_ones(tmp_path: Path) -> None:
    layouts = small_set(20)
    work = groups(layouts, ["migc"], [0], 4)  # of two batches to be judged, of 16 and of 4
    images = paint("migc", [one.layout for one in layouts.entries], [one.key for one in layouts.entries]).images
    picture = dict(zip((one.index for one in layouts.entries), images, strict=True))
    results = [
        GroupResult(group, [SampleResult(one, picture[one.index], None, 1, 4, 1.0, {}) for one in group.entries], [])
        for group in work
    ]
    with RunStore(tmp_path / "run", run_settings()) as store:
        for result in results[1:]:
            record_group(store, result)
        unjudged = Unjudged(store, layouts.entries, store.complete_samples(), work[:1])
        assert [len(batch) for batch in unjudged.ready()] == [4] and unjudged.awaited(work[:1]) == 16
        record_group(store, results[0])
        assert [len(batch) for batch in unjudged.after(results[0])] == [16]
