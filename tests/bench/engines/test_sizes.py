"""How the room of a cluster is divided."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.engines.cluster import Cluster
from bench.engines.pool import Pool
from bench.engines.sizes import BACKLOG, Load, pool_sizes


@pytest.mark.parametrize(
    ("room", "drawing", "judging", "sizes"),
    [
        (8, Load(1, 100, 0, 0), Load(1, 0, 0, 0), (8, 0)),
        (8, Load(1, 100, 8, 8), Load(1, BACKLOG - 1, 0, 0), (8, 0)),  # no judge is started for a short queue
        (8, Load(1, 100, 8, 8), Load(1, BACKLOG, 0, 0), (7, 1)),  # it gets a place of those that draw
        (8, Load(1, 100, 7, 7), Load(1, 2 * BACKLOG - 1, 1, 1), (7, 1)),
        (8, Load(1, 100, 7, 7), Load(1, 2 * BACKLOG, 1, 1), (6, 2)),
        (8, Load(1, 100, 6, 6), Load(1, 3, 2, 2), (6, 2)),  # both stay until nothing waits
        (8, Load(1, 100, 6, 6), Load(1, 0, 1, 2), (7, 1)),
        (8, Load(1, 100, 7, 7), Load(1, 0, 0, 1), (8, 0)),
        (2, Load(1, 100, 1, 1), Load(1, 9 * BACKLOG, 1, 1), (1, 1)),  # one goes on drawing
        (8, Load(1, 0, 2, 7), Load(1, 30, 1, 1), (2, 6)),  # the last batches
        (8, Load(1, 0, 0, 2), Load(1, 30, 1, 1), (0, 8)),
        (8, Load(1, 0, 0, 0), Load(1, 0, 2, 8), (0, 2)),
        (8, Load(1, 100, 0, 0), Load(0.25, 0, 0, 0), (8, 0)),
        (1, Load(0.25, 100, 0, 0), Load(0.25, 0, 0, 0), (4, 0)),
        (1, Load(1, 5, 1, 1), Load(1, 3, 0, 0), (1, 0)),  # no room for both: one after the other
        (1, Load(1, 0, 0, 1), Load(1, 3, 0, 0), (0, 1)),
        (0, Load(1, 5, 0, 0), Load(1, 0, 0, 0), (1, 0)),  # a cluster that can grow is asked for a node
        (1000, Load(1, 3, 2, 2), Load(1, 0, 0, 0), (5, 0)),  # no more than there are tasks
    ],
)
def test_sizes_follow_the_queues(room: float, drawing: Load, judging: Load, sizes: tuple[int, int]) -> None:
    assert pool_sizes(room, drawing, judging) == sizes


def test_there_is_always_an_actor_for_what_is_left() -> None:
    for room in (0, 0.5, 1, 2, 3):
        for waiting in range(3):
            for queue in range(3):
                drawers, judges = pool_sizes(room, Load(1, waiting, 0, 0), Load(1, queue, 0, 0))
                assert (drawers or not waiting) and (drawers + judges or not (waiting + queue))


@pytest.mark.parametrize("shares", [(1, 0.25), (0.25, 1), (1, 16)])
@pytest.mark.parametrize("queues", [(50, 0), (50, 50), (0, 50)])
def test_workers_are_the_most_actors_whatever_each_takes(
    shares: tuple[float, float], queues: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = [Pool(lambda: None, (), {"num_cpus": share}) for share in shares]
    for pool, count in zip(pools, queues, strict=True):
        pool.add(range(count))
    cluster = Cluster(Path(), "cpu", 4)
    monkeypatch.setattr(Pool, "fit", lambda *_: None)  # no actor is started
    monkeypatch.setitem(sys.modules, "ray", object())
    cluster._fit(*pools, launch=lambda pool: None)
    sizes = [pool.size for pool in pools]
    assert sum(sizes) <= 4 and sum(sizes) > 0 and (sizes[0] >= 3 if queues[0] else sizes == [0, 4])
