"""What every composition answers: whether it fits the models, what it costs, and the sampling itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from amdm.io.strict import Strict

if TYPE_CHECKING:  # presets are read without any network
    from amdm.sampler import BoundModel, Callback, SamplingResult


class Composition(Strict):
    """How the models of a method draw one picture together. A subclass has its settings as fields.

    semantics: the name in :data:`amdm.compositions.registry.COMPOSITIONS`.
    """

    semantics: str
    reads_boxes: ClassVar[bool] = False
    """Whether :attr:`amdm.sampler.BoundModel.inside` is read, which is made for no other composition."""

    @property
    def shares_noise(self) -> bool:
        """Whether every model starts from the target's x_T, or each from its own."""
        return True

    def starts_from(self, num_inference_steps: int) -> int:
        """The model, by its place, whose x_T the picture begins as."""
        return 0

    def check(self, models: int, num_inference_steps: int) -> None:
        """Raise InputError unless the settings fit that many models and steps."""

    @abstractmethod
    def evaluations(self, models: int, num_inference_steps: int) -> list[int]:
        """Guided evaluations a picture of each model, the target first: what :meth:`sample` will count."""

    @abstractmethod
    def sample(
        self,
        models: Sequence[BoundModel],
        num_inference_steps: int,
        callback: Callback | None = None,
        finish_all: bool = False,
    ) -> SamplingResult:
        """The picture's latents, the target being the first model.

        Args:
            callback: called after each step; may change states and stop the run.
            finish_all: every model goes on to a picture of its own.

        Raises:
            InputError: before any model runs, for models that do not fit together.
        """
