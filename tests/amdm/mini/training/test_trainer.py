"""A diffusion training: what it learns from, and that it goes on as if it had never stopped."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from amdm.mini.scenes import Scene, SceneAction, SceneObject
from amdm.mini.sizes import LATENT_SIZE, build_scheduler, build_vae
from amdm.mini.training import trainer, vae
from amdm.mini.training.base import BaseTrainer
from amdm.mini.training.tools import AveragedWeights, load_checkpoint, save_checkpoint
from amdm.mini.training.trainer import Job, Trainer, box_weights

CPU = torch.device("cpu")
SMALL, LARGE = (0.0, 0.0, 0.125, 0.125), (0.5, 0.5, 1.0, 1.0)
SCENE = Scene((SceneObject("red", "circle", SMALL), SceneObject("red", "cross", LARGE)), (SceneAction(0, "joins", 1),))


def dies_at(monkeypatch: pytest.MonkeyPatch, module: object, last: int) -> None:
    """Let the training stop behind the checkpoint of step ``last``."""

    def save(path: Path, state: dict[str, object]) -> None:
        save_checkpoint(path, state)
        if state["step"] == last:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_checkpoint", save)
    monkeypatch.setattr(module, "CHECKPOINT_EVERY", 1)


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("whole", "torn"):
        torch.manual_seed(0)
        (tmp_path / name).mkdir()
        save_checkpoint(tmp_path / name / "vae-averaged.pt", build_vae().state_dict())
    whole, torn = (Job(tmp_path / name, steps=3, seed=2, batch=1, rate=1e-2) for name in ("whole", "torn"))
    BaseTrainer(whole, 0).run()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        dies_at(patch, trainer, 1)
        BaseTrainer(torn, 0).run()
    again = BaseTrainer(torn, 0)
    again.run()
    one, other = (load_checkpoint(job.folder / "base.pt") for job in (whole, torn))
    assert one and other and one["step"] == other["step"] == 3
    for part in ("weights", "average"):
        assert all(torch.equal(a, b) for a, b in zip(one[part], other[part], strict=True)), part
    # Left in the modules is the average, which the next stage goes on from.
    assert all(torch.equal(a, b) for a, b in zip(again.parameters, one["average"], strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(one["weights"], one["average"], strict=True))


def test_a_stopped_autoencoder_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vae, "BATCH", 2)
    for name in ("whole", "torn"):
        (tmp_path / name).mkdir()
    whole = vae.train_vae(tmp_path / "whole", 3, 0, CPU).state_dict()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        dies_at(patch, vae, 1)
        vae.train_vae(tmp_path / "torn", 3, 0, CPU)
    torn = vae.train_vae(tmp_path / "torn", 3, 0, CPU).state_dict()
    assert all(torch.equal(value, torn[name]) for name, value in whole.items())


def test_the_loss_asks_for_v_of_the_noised_latents() -> None:
    alphas = build_scheduler().alphas_cumprod
    clean = torch.randn(4, 8, LATENT_SIZE, LATENT_SIZE, generator=torch.Generator().manual_seed(0))

    def loss(error: float) -> float:
        def oracle(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            a = alphas[t].view(-1, 1, 1, 1)  # x = √a·clean + √(1 − a)·noise, v = √a·noise − √(1 − a)·clean
            return (a.sqrt() * x - clean) / (1 - a).sqrt() + error

        torch.manual_seed(0)
        return float(Trainer.loss(SimpleNamespace(alphas=alphas, device=CPU), [SCENE] * 4, clean, oracle))  # type: ignore[arg-type]

    torch.manual_seed(0)
    snr = (alphas / (1 - alphas))[torch.randint(0, 1000, (4,))]
    assert loss(0.0) < 1e-6
    assert loss(1.0) == pytest.approx(float(((snr + 1).clamp(max=6) / (snr + 1)).mean()), rel=1e-4)


def test_small_boxes_and_marks_weigh_more() -> None:
    weights = box_weights([SCENE], LATENT_SIZE)[0, 0]
    assert weights.mean() == pytest.approx(1.0, abs=1e-6)
    ground = weights[-1, 0]
    assert (weights[0, 0] / ground).item() == pytest.approx(1 + (0.15 * 64) ** 0.5)
    assert (weights[-1, -1] / ground).item() == pytest.approx(1 + (0.15 * 4) ** 0.5)
    assert (weights[5, 5] / ground).item() == pytest.approx(5.0)  # on the mark's line


def test_processes_train_on_the_mean_of_their_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    trained, idle = (torch.nn.Parameter(torch.zeros(2, 2)) for _ in range(2))
    trained.grad = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    fellow = torch.tensor([3.0, 4.0, 5.0, 6.0])
    monkeypatch.setattr(trainer.dist, "all_reduce", lambda flat: flat.add_(fellow))
    Trainer._share_gradients(SimpleNamespace(parameters=[idle, trained], job=SimpleNamespace(world=2)))  # type: ignore[arg-type]
    assert idle.grad is None and trained.grad.tolist() == [[2.0, 3.0], [4.0, 5.0]]


def test_the_average_follows_the_weights_and_changes_places_with_them() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    averaged = AveragedWeights([parameter], decay=0.75)
    with torch.no_grad():
        parameter.fill_(1.0)
    averaged.update(1)  # 2/11 of what was
    assert averaged.average[0].item() == pytest.approx(9 / 11)
    averaged.update(1000)
    assert averaged.average[0].item() == pytest.approx(0.75 * 9 / 11 + 0.25)
    before = averaged.average[0].item()
    averaged.swap()
    assert parameter.item() == pytest.approx(before) and averaged.average[0].item() == 1.0
    averaged.swap()
    assert parameter.item() == 1.0 and averaged.average[0].item() == pytest.approx(before)
