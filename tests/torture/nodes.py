"""``python -m tests.torture.nodes``: a Ray cluster of several nodes on this machine, which lose their lives on command.

It prints its address. A line "node" on its input kills one node that is not the head, at random, and adds another. It
ends with its input.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from typing import Any

from bench.engines.cluster import OF_THIS_MACHINE, QUIET

CPUS = 1
TRIES = 10


def main() -> None:
    """Serve until the input ends."""
    os.environ.update(QUIET | OF_THIS_MACHINE)
    from ray.cluster_utils import Cluster

    chance, count = random.Random(int(sys.argv[1])), int(sys.argv[2])
    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = _patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
    nodes = [_patiently(lambda: cluster.add_node(num_cpus=CPUS)) for _ in range(count)]
    print(cluster.address, flush=True)
    for _ in sys.stdin:
        cluster.remove_node(nodes.pop(chance.randrange(len(nodes))), allow_graceful=False)
        nodes.append(_patiently(lambda: cluster.add_node(num_cpus=CPUS)))
        print("lost one", flush=True)
    cluster.shutdown()


def _patiently(start: Callable[[], Any]) -> Any:
    """What is started; Ray gives a node 30 seconds for it, which a machine with other work may not have."""
    for _ in range(TRIES - 1):
        try:
            return start()
        except Exception as error:
            print(f"a node did not start: {error}", file=sys.stderr)
    return start()


if __name__ == "__main__":
    main()
