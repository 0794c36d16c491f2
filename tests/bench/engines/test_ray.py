"""The engine on Ray: the same records as processes of this machine, whatever dies on the way."""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # as the engine does before Ray is imported
from amdm.errors import InputError
from bench.engines.cluster import Cluster, RayEngine
from bench.engines.pool import ATTEMPTS, Pool, launcher
from bench.generators.generator import ContractError
from bench.job.batches import groups
from bench.run.read import read_table
from bench.run.store import RunStore
from bench.stages.generate import GroupWorker
from bench.stages.streaming import JudgeWorker, stream_pools
from bench.workers.processes import WorkerLostError
from tests.bench.fakes import METHODS, BlobDetector, guessing_judges, paint, run_settings, small_run, small_set
from tests.bench.stages.test_generate import assert_same
from tests.conftest import needs
from tests.torture.processes import family

needs("ray", "ray")
pytestmark = pytest.mark.ray

COUNT = 10
MAX_SECONDS = 600
"""Of a test: the longest took two minutes on a machine with six times as much work as cores."""


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """No test waits for ever."""

    def late(*_: object) -> None:
        raise TimeoutError(f"not done within {MAX_SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(MAX_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Ray on this machine alone, with two places."""
    with RayEngine("local", workers=2).connected("cpu") as found:
        yield found


@pytest.fixture(scope="module")
def unstopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unstopped") / "run"
    assert small_run(folder, count=COUNT) == 0
    return folder


def ray_run(cluster: Cluster, folder: Path, source: Callable[[], Any], judge: Callable[[], Any] = BlobDetector) -> int:
    """:func:`tests.bench.fakes.small_run` on a cluster; returns how many samples failed."""
    layout_set = small_set(COUNT)
    options: dict[str, float] = {"num_cpus": 1}
    with RunStore(folder, run_settings(batch=4, layout_hash=layout_set.hash)) as store:
        drawing = Pool(GroupWorker, (source,), options)
        work = groups(layout_set, METHODS, (0,), 4)
        stream_pools(
            cluster, store, layout_set.entries, work, drawing, Pool(JudgeWorker, (judge, guessing_judges), options)
        )
        store.update("complete")
        return len(store.failed_samples())


class Painter:
    """Paints; with the batch that holds a sample, something happens, ``times`` times in all. Made in a worker."""

    def __init__(self, place: Path, sample: int | None = None, times: int = 0, what: str = "die") -> None:
        self.place, self.sample, self.times, self.what = place, sample, times, what

    def __call__(self) -> Painter:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def run(self, method: str, layouts: Sequence[Any], keys: Sequence[str], **_: Any) -> Any:
        if method == METHODS[0] and any(key.split("/")[1] == str(self.sample) for key in keys):
            self.happen()
        return paint(method, layouts, keys)

    def happen(self) -> None:
        for k in range(self.times):
            with suppress(FileExistsError):
                (self.place / f"{self.what}{k}").touch(exist_ok=False)
                if self.what == "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise {"contract": ContractError("no pictures"), "error": ValueError("broken")}[self.what]


class Source:
    """Makes the painter's function."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __call__(self) -> Callable[..., Any]:
        return Painter(*self.arguments).run


def events(folder: Path) -> list[str]:
    return [str(what) for what in read_table(folder, "events").what]


def test_records_and_pictures_are_those_of_the_local_engine(cluster: Cluster, unstopped: Path, tmp_path: Path) -> None:
    assert ray_run(cluster, tmp_path / "run", Source(tmp_path)) == 0
    assert_same(tmp_path / "run", unstopped)
    pd.testing.assert_frame_equal(read_table(tmp_path / "run", "findings"), read_table(unstopped, "findings"))
    assert events(tmp_path / "run") == []


def test_nothing_listens_beyond_this_machine(cluster: Cluster) -> None:
    own = {link for process in family(os.getpid()) for link in sockets(process)}
    listening = [address for address, inode in listeners() if f"socket:[{inode}]" in own]
    assert len(listening) > 3 and set(listening) == {"127.0.0.1"}
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_workers_have_the_priority_of_the_command(cluster: Cluster) -> None:
    """At Ray's default they starve beside other work of the machine."""
    import ray

    assert ray.get(ray.remote(lambda: os.nice(0)).remote(), timeout=MAX_SECONDS) == os.nice(0)


def sockets(process: int) -> Iterator[str]:
    with suppress(OSError):
        for file in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                yield os.readlink(file)


def listeners() -> Iterator[tuple[str, str]]:
    """(address, inode) of every TCP socket that listens."""
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A":
                address = words[1].split(":")[0]
                mapped = len(address) == 8 or address.startswith("0000000000000000FFFF0000")
                packed = struct.pack("=I", int(address[-8:], 16))
                yield socket.inet_ntoa(packed) if mapped else address, words[9]


def test_a_worker_that_is_killed_costs_nothing(cluster: Cluster, unstopped: Path, tmp_path: Path) -> None:
    assert ray_run(cluster, tmp_path / "run", Source(tmp_path, 0, ATTEMPTS - 1)) == 0
    assert_same(tmp_path / "run", unstopped)
    told = events(tmp_path / "run")
    assert [one.rsplit(": ", 1)[1] for one in told] == [
        f"a worker was lost with it, time {k} of {ATTEMPTS}" for k in (1, 2)
    ]


def test_a_batch_that_kills_every_worker_is_given_up_and_tried_by_the_next_run(
    cluster: Cluster, unstopped: Path, tmp_path: Path
) -> None:
    assert ray_run(cluster, tmp_path / "run", Source(tmp_path, 0, 99)) == 4
    samples = read_table(tmp_path / "run", "samples")
    failed = samples[samples.status == "failed"]
    assert len(samples) == 2 * COUNT and set(failed.attempts) == {ATTEMPTS}
    assert failed.error.str.contains(f"its worker died {ATTEMPTS} times").all()
    assert len(events(tmp_path / "run")) == ATTEMPTS
    assert ray_run(cluster, tmp_path / "run", Source(tmp_path)) == 0
    assert_same(tmp_path / "run", unstopped)


def test_an_error_is_recorded_as_by_the_local_engine(cluster: Cluster, unstopped: Path, tmp_path: Path) -> None:
    assert ray_run(cluster, tmp_path / "run", Source(tmp_path, 0, 1, "error")) == 0
    (told,) = events(tmp_path / "run")
    assert told.endswith("ValueError: broken") and "broken" in (tmp_path / "run" / "errors.txt").read_text()


def test_a_broken_contract_stops_the_run(cluster: Cluster, unstopped: Path, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="no pictures"):
        ray_run(cluster, tmp_path / "run", Source(tmp_path, 0, 1, "contract"))
    assert ray_run(cluster, tmp_path / "run", Source(tmp_path)) == 0
    assert_same(tmp_path / "run", unstopped)


def test_what_cannot_be_built_stops_the_run(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no weights"):
        ray_run(cluster, tmp_path / "run", no_weights)


def no_weights() -> Any:
    raise InputError("no weights", field="generator")


def test_an_actor_that_dies_while_it_is_idle_makes_its_worker_again(cluster: Cluster, tmp_path: Path) -> None:
    import ray

    pool = Pool(GroupWorker, (Source(tmp_path),), {"num_cpus": 1})
    actor = launcher(tmp_path)(pool)
    try:
        assert ray.get(actor.start.remote()) is None
        os.kill(ray.get(actor.__ray_call__.remote(lambda _: os.getpid())), signal.SIGKILL)
        (group, *_) = groups(small_set(COUNT), METHODS, (0,), 4)
        result = ray.get(actor.work.options(max_task_retries=-1).remote(group))
        assert [one.error for one in result.outcomes] == [None] * 4
    finally:
        ray.kill(actor)


def test_workers_that_die_whenever_they_start_stop_the_run(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(WorkerLostError, match=f"{ATTEMPTS} workers in turn died {ATTEMPTS} times"):
        ray_run(cluster, tmp_path / "run", dead)


def dead() -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_full_disk_stops_the_run_and_loses_nothing(
    cluster: Cluster, unstopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def full(store: RunStore, *about: Any) -> Any:
        written.append(about)
        if len(written) == 7:
            raise OSError(28, "No space left on device")
        return add_image(store, *about)

    add_image = RunStore.add_image
    with monkeypatch.context() as patched:
        patched.setattr(RunStore, "add_image", full)
        with pytest.raises(OSError, match="No space left"):
            ray_run(cluster, tmp_path / "run", Source(tmp_path))
    assert 0 < len(read_table(tmp_path / "run", "samples")) < 2 * COUNT
    assert ray_run(cluster, tmp_path / "run", Source(tmp_path)) == 0
    assert_same(tmp_path / "run", unstopped)


def test_control_c_keeps_the_batches_in_hand(
    cluster: Cluster, unstopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = RunStore.record

    def record_and_stop(store: RunStore, *given: Any, **named: Any) -> None:
        record(store, *given, **named)
        if len(store.complete_samples()) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(RunStore, "record", record_and_stop)
        with pytest.raises(KeyboardInterrupt):
            ray_run(cluster, tmp_path / "run", Source(tmp_path))
    assert 4 <= len(read_table(tmp_path / "run", "samples")) <= 12  # two places
    assert ray_run(cluster, tmp_path / "run", Source(tmp_path)) == 0
    assert_same(tmp_path / "run", unstopped)


@pytest.mark.parametrize(
    ("address", "device", "message"),
    [
        ("127.0.0.1:1", "cpu", "address: nothing answers at '127.0.0.1:1'"),
        ("ray://head:10001", "cpu", "address: 'ray://head:10001': run the command on a machine of the cluster"),
        ("local", "cuda:1", "device: 'cuda:1': Ray chooses"),
    ],
)
def test_what_cannot_be_used_is_one_line(address: str, device: str, message: str) -> None:
    with pytest.raises(InputError, match=message), RayEngine(address).connected(device):
        pass
