"""A Ray cluster: one that is there, or one of this machine alone that ends with the command."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Generator, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from amdm.errors import InputError
from bench.engines.pool import Answer, Lost, Pool, launcher
from bench.engines.sizes import Load, pool_sizes
from bench.workers.processes import interrupt_deferred

LOCAL = "local"
LOOK_SECONDS = 2.0
"""How often the size of the cluster is looked at while no answer comes."""
ANSWER_SECONDS = 10
"""How long a head may take to answer."""
SMALL = 0.25
"""Of a GPU, what an actor with networks of the mini world takes."""
OF_THIS_MACHINE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_worker_niceness": "0"}
"""Of a Ray that is started here. Its own way to have every process listen on 127.0.0.1 alone, which is read when Ray is
imported; and workers with the command's priority: at Ray's default, a niceness of 15, they starve beside other work."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_NUM_REDIS_GET_RETRIES": "1"}
"""Nothing is reported to Ray's makers; no warning of what a later version will do; a head that is none is given up at
once."""

Kind = Literal["CPU", "GPU"]


@dataclass(frozen=True)
class RayEngine:
    """Work on a Ray cluster.

    address: of its head, as ``ray.init`` takes it; None takes that of ``RAY_ADDRESS``, else starts Ray on this machine
    alone. workers: actors in all, at most; None takes as many as the cluster has room for, at any time.

    Raises:
        InputError: Ray is not installed, or nothing answers at the address.
    """

    address: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if find_spec("ray") is None:
            raise InputError("ray is not installed: pip install 'amdm[ray]'", field="engine")
        _check_answers(self.place)

    @property
    def place(self) -> str:
        """The address, or :data:`LOCAL`."""
        return self.address or os.environ.get("RAY_ADDRESS") or LOCAL

    @contextmanager
    def connected(self, device: str) -> Iterator[Cluster]:
        """Inside, this process is the cluster's driver. device: of the job.

        Raises:
            InputError: it is no cluster of this version of Ray and Python; a device by its number, which is Ray's to
                choose.
        """
        if device.startswith("cuda:"):
            raise InputError(f"{device!r}: Ray chooses the GPU of each worker; say cuda", field="device")
        address = self.place
        os.environ.update(QUIET | (OF_THIS_MACHINE if address == LOCAL else {}))
        import ray

        workspace, root = Path.cwd(), Path(__file__).resolve().parents[2]
        own = {name: value for name, value in os.environ.items() if name.startswith("AMDM_")}
        options: dict[str, Any] = {"include_dashboard": False, "num_cpus": _cores()} if address == LOCAL else {}
        try:
            with chdir(root):  # Ray puts this folder first where its workers look for modules: our packages lie in it
                ray.init(
                    address=address,
                    log_to_driver=False,
                    logging_level="critical",
                    runtime_env={"env_vars": own} if own else None,
                    **options,
                )
        except Exception as error:  # Ray has no type of its own for them
            what = "Ray did not start on this machine" if address == LOCAL else f"no Ray cluster at {address!r}"
            raise InputError(f"{what}: {_first_line(error)}{_token_hint(address)}", field="address") from None
        ray._private.worker._worker_logs_enabled = False  # pages about lost workers on stdout; we tell them in a line
        try:
            yield Cluster(workspace, device, self.workers)
        finally:
            ray.shutdown()


@dataclass(frozen=True)
class Cluster:
    """A cluster that is connected.

    workspace: the folder that actors work in. device: of the job, cpu or cuda. workers: actors in all, at most.
    """

    workspace: Path
    device: str
    workers: int | None = None

    @property
    def places(self) -> int:
        """How many whole GPUs it has, or cores where the job uses no GPU; no more than there may be actors."""
        import ray

        found = int(ray.cluster_resources().get("CPU" if self.device == "cpu" else "GPU", 0))
        return max(1, found if self.workers is None else min(found, self.workers))

    def options(self, heavy: bool) -> dict[str, float]:
        """What an actor takes of its node: a GPU, or a fraction for small networks; without GPUs a core, or all cores
        for what is ``heavy``."""
        import ray

        if self.device != "cpu":
            return {"num_cpus": 1, "num_gpus": 1 if heavy else SMALL}
        cores = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        return {"num_cpus": max(1, min((one for one in cores if one), default=1)) if heavy else 1}

    def room(self, drawing: Pool) -> float:
        """What both pools may take together, in the unit of :meth:`part`."""
        import ray

        if self.workers is not None:
            return self.workers
        return float(ray.cluster_resources().get(kind(drawing), 0))

    def part(self, pool: Pool) -> float:
        """What an actor takes of the room: what it takes of the cluster, or one of so many actors."""
        return share(pool) if self.workers is None else 1

    def results(self, drawing: Pool, judging: Pool) -> Generator[tuple[Pool, Answer | Lost], None, None]:
        """What came of the tasks of both pools, in the order in which they are done; tasks may be added meanwhile.

        Close the iterator (``contextlib.closing``) where it may be left early.

        Raises:
            KeyboardInterrupt: after Ctrl-C or SIGTERM, when the results of what was in hand are given; after a second
                one, at once.
            WorkerLostError: a worker dies whenever it is started.
        """
        pools, launch = (drawing, judging), launcher(self.workspace)
        try:
            with interrupt_deferred() as interrupted:
                while any(pool.busy for pool in pools):
                    self._fit(drawing, judging, launch)
                    yield from _answers(pools)
                    if interrupted():
                        for pool in pools:
                            pool.waiting.clear()
                if interrupted():
                    raise KeyboardInterrupt
        finally:
            for pool in pools:
                pool.close()

    def _fit(self, drawing: Pool, judging: Pool, launch: Callable[[Pool], Any]) -> None:
        loads = [Load(self.part(one), len(one.waiting), len(one.running), one.actors) for one in (drawing, judging)]
        drawing.size, judging.size = pool_sizes(self.room(drawing), *loads)
        for pool in (drawing, judging):
            pool.fit(launch)


def kind(pool: Pool) -> Kind:
    """What there is least of: GPUs, where actors take any."""
    return "GPU" if pool.options.get("num_gpus") else "CPU"


def share(pool: Pool) -> float:
    """What one actor takes of that."""
    return pool.options["num_gpus" if kind(pool) == "GPU" else "num_cpus"]


def _answers(pools: tuple[Pool, Pool]) -> Iterator[tuple[Pool, Answer | Lost]]:
    import ray

    owner = {reference: pool for pool in pools for reference in pool.references}
    done, _ = ray.wait(list(owner), num_returns=1, timeout=LOOK_SECONDS)
    for reference in done:
        found = owner[reference].take(reference)
        if found is not None:
            yield owner[reference], found


def _check_answers(address: str) -> None:
    """Raise InputError where nothing listens: Ray itself would try for minutes, and tell each time."""
    if address.startswith("ray://"):
        what = f"{address!r}: run the command on a machine of the cluster, with host:port or auto"
        raise InputError(what, field="address")
    host, sign, port = address.rpartition(":")
    if not (sign and port.isascii() and port.isdigit()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise InputError(f"nothing answers at {address!r}: {error}", field="address") from None


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _token_hint(address: str) -> str:
    """Ray says nothing of a token that it was not told to show, and shows none to an address unless told to."""
    if address == LOCAL or os.environ.get("RAY_AUTH_MODE"):
        return ""
    return "; where it asks for a token, RAY_AUTH_MODE=token must be set"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
