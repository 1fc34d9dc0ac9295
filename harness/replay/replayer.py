"""A run's training computed again in this process, from any state that it saved."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.data.dataset import DataSet
from harness.data.input_pipeline.order import rounds_of
from harness.distributed.devices import Devices
from harness.errors import UsageError
from harness.models.build import build_model
from harness.numerics.fingerprint import array_fingerprint, fingerprints_as_hex, hex_of
from harness.recipes.recipe import Recipe
from harness.record.certificate import StepDetail
from harness.record.journal import Journal
from harness.record.schema import Steps
from harness.training.batches import recipe_batches
from harness.training.checkpoint import folder_name, read_checkpoint
from harness.training.early_end import device_errors
from harness.training.loop import Hooks, LoopPlan, train
from harness.training.schedule import learning_rates, momentum_kept
from harness.training.state import TrainState, create_state, from_arrays, reset_momentum, to_arrays
from harness.training.step import StepFunction, build_detailed_step, build_step
from harness.weights.transfer import freeze_as_told


@dataclass
class Replay:
    """The parts of a replay.

    Attributes:
        folder: The run's folder.
        journal: Its journal.
        data: The data set it was trained on.
        devices: Where it is replayed.
        version: Of the harness that computed the steps: it decides the order of images.
    """

    folder: Path
    journal: Journal
    data: DataSet
    devices: Devices
    version: str
    state: TrainState = field(init=False)
    altered: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        """Build network and step; the state is the one before the first step."""
        with self.devices.strategy.scope():
            model = build_model(
                self.recipe.model,
                classes=self.recipe.model.classes or len(self.data.classes),
                seed=self.journal.started.seed,
                channels=self.recipe.normalisation.channel_count,
                precision=self.recipe.precision,
            )
            freeze_as_told(model, self.recipe.model)
            float16 = self.recipe.precision.compute == "float16"
            self.state = create_state(model, float16=float16)
        self._initial = to_arrays(self.state)
        self._step: StepFunction = build_step(self.state, self.recipe, self.devices.strategy)

    @property
    def recipe(self) -> Recipe:
        """The run's recipe."""
        return self.journal.started.recipe

    @property
    def model(self) -> keras.Model:
        """The network with the replay's present weights."""
        return self.state.model

    def restart(self, step: int) -> None:
        """Take the state that the run saved after `step` steps; 0 is the initial one.

        `altered` then names its tensors that the journal has otherwise.

        Raises:
            CheckpointError: the checkpoint is missing or damaged.
        """
        if step == 0:
            from_arrays(self.state, self._initial, "the initial state")
            self.altered = ()
            return
        folder = self.folder / "checkpoints" / folder_name(step)
        loaded = read_checkpoint(folder, self.journal.started.run_id)
        from_arrays(self.state, loaded.arrays, str(folder))
        fingerprints = {name: array_fingerprint(array) for name, array in loaded.arrays.items()}
        self.altered = differing(self.recorded_state(step), fingerprints)

    def recorded_state(self, step: int) -> dict[str, str]:
        """Tensor fingerprints that the journal has last for the state after `step` steps."""
        found = [e for e in self.journal.checkpoints if e.step == step]
        return dict(found[-1].tensor_fingerprints) if found else {}

    def state_fingerprints(self) -> dict[str, str]:
        """Tensor fingerprints of the present state, in the order of the network."""
        return {name: array_fingerprint(array) for name, array in to_arrays(self.state).items()}

    def run(
        self,
        first: int,
        end: int,
        each: Callable[[Steps], bool],
        at_epoch: Callable[[int], None] = lambda _step: None,
    ) -> int:
        """Compute steps [first, end) from the present state.

        Args:
            first: The state's step.
            end: The step after the last.
            each: Called with each window; False ends the replay there.
            at_epoch: Called with the steps done at each epoch's end.

        Returns:
            Steps done.
        """
        ended = False

        def window(one: Steps) -> None:
            nonlocal ended
            ended = ended or not each(one)

        plan = LoopPlan(
            first_step=first,
            last_step=end,
            total_steps=self.journal.started.steps_total,
            steps_per_epoch=self.journal.started.steps_per_epoch,
            checkpoint_every=end,
            recorded_step=0,
        )
        hooks = Hooks(
            on_window=window,
            on_checkpoint=lambda _step: None,
            on_epoch=at_epoch,
            reset_momentum=lambda: reset_momentum(self.state),
            stop_requested=lambda _step: ended,
        )
        with device_errors(self.folder):
            return train(
                self._step,
                self._batches(first, end),
                self.recipe.phases,
                plan,
                hooks,
                images_per_step=self.recipe.batch,
                asynchronous=self.devices.asynchronous,
            )

    def detail(self, step: int, start: int) -> StepDetail:
        """Replay from the saved state `start` and take step `step` apart.

        Raises:
            UsageError: the replay has several devices.
            CheckpointError: there is no such state.
        """
        if self.devices.replicas != 1:
            raise UsageError(
                f"a step on {self.devices.replicas} devices is not taken apart",
                expected="a run on one device",
                remedy="compare without details",
            )
        self.restart(start)
        if step > start:
            self.run(start, step, lambda _window: True)
        steps_per_epoch = self.journal.started.steps_per_epoch
        if not momentum_kept(self.recipe.phases, steps_per_epoch, step, 1)[0]:
            reset_momentum(self.state)
        (rate,) = learning_rates(self.recipe.phases, steps_per_epoch, step, 1)
        before = self.state_fingerprints()
        with device_errors(self.folder):
            batch = next(self._batches(step, step + 1))
            apart = build_detailed_step(self.state, self.recipe)
            output, fingerprints = apart(batch["image"], batch["label"], tf.constant(rate))
        fingerprint = fingerprints_as_hex([output.fingerprint])[0]
        return StepDetail(
            step=step,
            start=start,
            altered_state=self.altered,
            reproduces=self.journal.fingerprints().get(step) == fingerprint,
            fingerprint=fingerprint,
            batch_fingerprint=fingerprints_as_hex([output.batch_fingerprint])[0],
            learning_rate=float(rate),
            loss=float(output.loss),
            gradient_norm=float(output.gradient_norm),
            images=self._image_fingerprints(batch),
            before=before,
            tensor_fingerprints={
                name: hex_of(int(value)) for name, value in self._ordered(fingerprints)
            },
        )

    def _ordered(self, fingerprints: dict[str, tf.Tensor]) -> list[tuple[str, tf.Tensor]]:
        """In the order of the network; a compiled function returns fingerprints in any order."""
        paths = [v.path for v in self.model.weights]
        names = ["loss", *(f"{kind}/{p}" for kind in ("gradients", "weights") for p in paths)]
        return [(name, fingerprints[name]) for name in names if name in fingerprints]

    def _image_fingerprints(self, batch: dict[str, tf.Tensor]) -> tuple[tuple[str, str], ...]:
        ids = self.data.train.ids
        numbers, images = batch["index"].numpy(), np.asarray(batch["image"])
        pairs = zip(numbers, images, strict=True)
        return tuple((ids[number], array_fingerprint(image)) for number, image in pairs)

    def _batches(self, first: int, end: int) -> Any:
        seed = self.journal.started.seed
        rounds = rounds_of(self.version)
        return recipe_batches(
            self.recipe, self.data.train, self.devices,
            seed=seed, first=first, end=end, order_rounds=rounds,
        )  # fmt: skip


def differing(expected: dict[str, str], found: dict[str, str]) -> tuple[str, ...]:
    """Names whose fingerprints differ, in the order of `found`; those only in one are left out."""
    return tuple(
        name
        for name, fingerprint in found.items()
        if expected.get(name, fingerprint) != fingerprint
    )
