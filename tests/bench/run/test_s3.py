"""Whole commands on a server of S3: kills, an absent bucket, no permission, a server that goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.io.remote import RemoteFolder
from bench.run.info import RunInfo
from bench.run.mirror import reading
from bench.run.read import read_table
from bench.run.verify import verify_run
from tests.bench.s3 import BUCKET, Server, files
from tests.conftest import needs

ROOT = Path(__file__).resolve().parents[3]
URL = f"s3://{BUCKET}/runs/painted"
OPTIONS = (
    *("run", "--generator", str(ROOT / "tests" / "torture" / "paint.py") + ":paint", "--layouts", "mini"),
    *("--detector", "mini", "--limit", "15", "--batch", "1", "--workers", "1"),
)
PROGRAM = "import bench.run.mirror as m; m.SECONDS = 2.0; from bench.cli.main import main; main()"
"""The command, which hands its records over every two seconds."""


def start(*arguments: str, folder: Path, cache: str = "cache") -> subprocess.Popen[str]:
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / cache), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, *arguments, "--reports", str(folder / "reports")]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, stdout=-3, text=True)


def wait_for(objects: Any, pattern: str, count: int) -> None:
    until = time.monotonic() + 300
    while len(objects.glob(f"{BUCKET}/runs/painted/{pattern}")) < count:
        assert time.monotonic() < until
        time.sleep(0.1)


def samples(run: Path) -> list[tuple[Any, ...]]:
    table = read_table(run, "samples")[["method", "layout_index", "seed", "status", "sha256"]]
    return sorted(table.itertuples(index=False, name=None))


def verdicts(run: Path) -> list[tuple[Any, ...]]:
    return sorted(read_table(run, "verdicts").fillna(-1).itertuples(index=False, name=None))


def test_a_killed_run_goes_on_on_another_machine_and_loses_nothing_when_the_server_goes(
    s3: Server, tmp_path: Path
) -> None:
    objects = files(s3)
    command = start(*OPTIONS, "--out", URL, folder=tmp_path)
    wait_for(objects, "records/*", 2)
    command.send_signal(signal.SIGKILL)
    command.wait()
    before = len(objects.glob(f"{BUCKET}/runs/painted/images/paint/*"))
    there = reading(RemoteFolder.parse(URL))  # this process's cache: another machine
    recorded = samples(there)
    assert 0 < len(recorded) <= before < 15

    command = start(*OPTIONS, "--out", URL, folder=tmp_path, cache="other")
    wait_for(objects, "images/paint/*", before + 2)
    s3.stop()
    try:
        lines = (command.communicate(timeout=300)[1] or "").splitlines()
    finally:
        s3.start()
    assert command.returncode == 1 and "s3://bucket/runs/painted" in lines[-1] and "cannot be reached" in lines[-1]
    assert "the same command goes on from here" in lines[-1] and "of-the-test" not in "".join(lines)

    command = start(*OPTIONS, "--out", URL, folder=tmp_path, cache="other")
    assert command.wait(300) == 0, command.communicate()
    found = reading(RemoteFolder.parse(URL))
    assert RunInfo.read(found).status == "complete" and set(recorded) <= set(samples(found)) and not verify_run(found)
    command = start(*OPTIONS, "--out", "local", folder=tmp_path)
    assert command.wait(300) == 0, command.communicate()
    assert samples(found) == samples(tmp_path / "local") and verdicts(found) == verdicts(tmp_path / "local")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["amdm-bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main.main()
    return int(stopped.value.code or 0)


@pytest.mark.usefixtures("fake_judge")
def test_every_command_on_runs_at_a_place(
    s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tests.torture.paint.time.sleep", lambda _: None)
    for k in (1, 2):
        options = [*OPTIONS[:-4], "--batch", "4", "--workers", "1", "--shard", f"{k}/2"]
        assert run(monkeypatch, *options, "--out", f"s3://{BUCKET}/runs/part-{k}") == 0
    assert f"records and pictures: s3://{BUCKET}/runs/part-2" in capsys.readouterr().out
    whole = f"s3://{BUCKET}/runs/whole"
    assert run(monkeypatch, "merge", whole, f"s3://{BUCKET}/runs/part-1", f"s3://{BUCKET}/runs/part-2") == 0
    for command in ("verify", "report", "table"):
        assert run(monkeypatch, command, whole) == 0, capsys.readouterr()
    assert run(monkeypatch, "score", whole, "--again") == 0
    capsys.readouterr()
    assert run(monkeypatch, "runs", "list", f"s3://{BUCKET}/runs") == 0
    assert all(name in capsys.readouterr().out for name in ("part-1",))
    assert run(monkeypatch, "runs", "show", whole) == 0 and "status: complete" in capsys.readouterr().out
    assert run(monkeypatch, "export", whole, "--method", "paint", "--to", "official") == 0
    assert len(list((tmp_path / "official").iterdir())) == 15

    files(s3).put(str(tmp_path / "official"), f"{BUCKET}/pictures", recursive=True)
    options = ["--images", f"s3://{BUCKET}/pictures", "--layouts", "mini", "--limit", 15, "--method", "taken"]
    assert run(monkeypatch, "score", *options, "--out", f"s3://{BUCKET}/runs/taken") == 0
    taken = RunInfo.read(reading(RemoteFolder.parse(f"s3://{BUCKET}/runs/taken")))
    assert taken.progress.taken_from is not None
    assert taken.progress.taken_from["folder"] == f"s3://{BUCKET}/pictures" and taken.status == "complete"

    capsys.readouterr()
    assert run(monkeypatch, "plot", "samples", whole, "--out", "figure.png") == 0
    assert run(monkeypatch, "runs", "rm", "--yes", f"s3://{BUCKET}/runs/part-1") == 0
    assert not files(s3).find(f"{BUCKET}/runs/part-1") and "part-1: removed" in capsys.readouterr().out
    files(s3).rm(f"{BUCKET}/runs/whole/images/paint", recursive=True)
    assert run(monkeypatch, "verify", whole) == 1 and "is absent" in capsys.readouterr().out


def test_a_place_that_cannot_be_used_is_one_line_and_nothing_is_made(
    s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    images = ("score", "--layouts", "mini", "--images")

    def refused(what: str, *arguments: str) -> None:
        capsys.readouterr()
        assert run(monkeypatch, *arguments) == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("error: ") and what in last and "of-the-test" not in last

    for arguments in ((*OPTIONS, "--out"), images, ("report",), ("verify",), ("runs", "list")):
        refused("s3://no-such-bucket/a: is absent", *arguments, "s3://no-such-bucket/a")
        refused("holds credentials", *arguments, "s3://key-of-the-test:secret@bucket/a")
    s3.ask_who_one_is(True)
    for arguments in ((*OPTIONS, "--out"), images, ("report",), ("verify",), ("runs", "list")):
        refused(f"s3://{BUCKET}/a: is not permitted", *arguments, f"s3://{BUCKET}/a")
    assert not list((tmp_path / "cache").rglob("run.json")) and not (tmp_path / "runs").exists()


@pytest.mark.ray
def test_a_cluster_makes_a_run_at_a_place(s3: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("ray", "ray")
    options = [*OPTIONS[: OPTIONS.index("--limit")], "--limit", "5", "--batch", "2", "--workers", "2"]
    command = start(*options, "--engine", "ray", "--out", URL, folder=tmp_path)
    told = command.communicate(timeout=1200)
    assert command.returncode == 0, told
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *options[:-1], "1", "--out", "local") == 0
    found = reading(RemoteFolder.parse(URL))  # this process's cache: another machine
    assert RunInfo.read(found).status == "complete" and len(verdicts(found)) > 5 and not verify_run(found)
    assert samples(found) == samples(tmp_path / "local") and verdicts(found) == verdicts(tmp_path / "local")
