"""The recipes of docs/cluster.md: scripts that a shell takes, a manifest that is one, commands that are commands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import yaml

from tests.test_docs import parse

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "cluster.md").read_text(encoding="utf-8")
STUBS = {
    "scontrol": "echo node-1; echo node-2",
    "getent": 'echo "10.0.0.7 STREAM $2"',
    "srun": 'printf "%s\\n" "$@"; echo "$RAY_AUTH_MODE ${#RAY_AUTH_TOKEN}" >&2',
}


def block(language: str) -> str:
    """The one block of the page in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_slurm_script_starts_ray_and_a_command_of_ours(tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(block("bash"))
    subprocess.run(["bash", "-n", str(script)], check=True)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "activate").touch()
    for name, answer in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {"SUBMIT_DIR": str(tmp_path), "JOB_NODELIST": "node-[1-2]", "JOB_NUM_NODES": "2", "CPUS_PER_TASK": "16"}
    environment = {f"SLURM_{name}": value for name, value in (slurm | {"GPUS_PER_NODE": "4"}).items()}
    environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    found = subprocess.run(["bash", str(script)], env=environment, capture_output=True, text=True, check=True)
    assert found.stderr == "token 64\n"  # both reach every node: `ray start` may ask for a token that it finds
    words = found.stdout.splitlines()
    launcher, command = words[: words.index("--")], words[words.index("--") + 1 :]
    assert launcher[1:6] == ["ray", "symmetric-run", "--address", "10.0.0.7:6379", "--min-nodes"]
    assert command[-4:] == ["--engine", "ray", "--address", "10.0.0.7:6379"]
    parse(shlex.join(command))


def test_the_kubernetes_manifest_is_a_ray_job_with_one_shared_folder() -> None:
    job = yaml.safe_load(block("yaml"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    workers = cluster["workerGroupSpecs"]
    groups = [cluster["headGroupSpec"], *workers]
    pods = [group["template"]["spec"] for group in groups]
    assert len({str(pod["volumes"]) for pod in pods}) == 1
    for pod in pods:
        (container,) = pod["containers"]
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
        assert [one["name"] for one in container["volumeMounts"]] == [one["name"] for one in pod["volumes"]]
    shell, option, line = shlex.split(job["spec"]["entrypoint"])
    assert (shell, option) == ("sh", "-c")
    command = line.partition(" && ")[2]
    parse(command)
    assert int(command.rpartition("--workers ")[2]) == 1 + sum(
        one["maxReplicas"] for one in cluster["workerGroupSpecs"]
    )
