# SPDX-License-Identifier: Apache-2.0
"""Training: one loop for every network; the epoch and the threshold are chosen on validation."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from facetell.common.distributed import ALONE, World, current
from facetell.common.errors import UserError
from facetell.common.machine import memory_format, pins_memory, repeatable
from facetell.common.progress import STEP, estimating, progress, to_stderr, worked
from facetell.common.seeding import seed_of
from facetell.images.loading import Images, TrainingImages, training_batches, training_order
from facetell.metrics.calibration import temperature
from facetell.metrics.ranking import best_threshold
from facetell.models.detector import Detector
from facetell.models.factory import build, head_of, parameter_count
from facetell.models.inference import margins
from facetell.models.preprocessing import preprocessing_of
from facetell.models.pretrained import load_weights
from facetell.training.adapters import adapters
from facetell.training.augmentations import augmentation
from facetell.training.checkpoint import Checkpoint, History, State, owner_of
from facetell.training.cost import cost_of, multiply_adds
from facetell.training.job import PROCESSOR, Engine, Job
from facetell.training.precision import autocast_dtype
from facetell.training.sizes import check_batches, check_image_size, check_sets
from facetell.training.updater import Updater

Say = Callable[[str], None]
LOOK_EVERY = 20  # steps on an accelerator between looks at the loss: each look waits for it


@dataclass
class Fit:
    """The result of ``train``: the detector at its best epoch, and how it got there.

    ``watched`` (epochs, N) are the margins of ``job.watch`` after each epoch; nothing depends on
    them.
    """

    detector: Detector
    threshold: float  # margin, chosen on validation
    temperature: float  # fitted on validation
    log: list[dict[str, float]]  # one row per epoch
    cost: dict[str, Any]
    watched: np.ndarray


def silent(line: str) -> None:
    """Print nothing."""


def train(job: Job, *, state: Path, engine: Engine = PROCESSOR, say: Say = to_stderr) -> Fit:
    """Train, validate after every epoch, and keep the epoch that is best by the recipe.

    In a process group (``facetell.common.distributed``) every process calls this, with the same
    arguments; together they compute what one would.

    Parameters
    ----------
    state : folder for the resumable state, written after every epoch. It is taken up only if it
        was made by the same network, recipe, seed and images; afterwards the caller removes it.
    say : gets a line of text per epoch.

    Raises
    ------
    UserError : the loss is no longer finite (names epoch, step, learning rate and images), or the
        recipe does not fit the network.

    >>> from facetell.dataset.demo import packed_demo
    >>> from facetell.training.recipe import Recipe
    >>> sets = packed_demo("demo")
    >>> recipe = Recipe(image_size=64, epochs=2, batch_size=8, lr=1e-3, precision="float32")
    >>> job = Job(network="simplenet", recipe=recipe, seed=0,
    ...           train_set=sets["train"], valid_set=sets["valid"])
    >>> fit = train(job, state=Path("state"), say=silent)
    >>> len(fit.log), fit.cost["epochs"]
    (2, 2)
    """
    world, recipe = current(), job.recipe
    say = say if world.first else silent
    with repeatable(engine.deterministic, engine.device):
        torch.manual_seed(job.seed)
        trainer = Trainer(job, engine, world=world, say=say)
        history, checkpoint = trainer.history, Checkpoint(state, owner_of(job, trainer.dtype))
        if saved := _furthest(checkpoint.load(say), world):
            trainer.load_state_dict(saved)
            say(f"{job.title}: going on after epoch {history.epoch}")
        updates = recipe.epochs * trainer.steps
        with (
            estimating(trainer.in_words(), trainer.left(), say=say),
            progress(None, f"training {job.title}", updates) as bar,
        ):
            bar.update(history.epoch * trainer.steps)
            while not trainer.finished:
                say(_line(job, trainer.one_epoch(bar), history.seconds))
                if world.first:
                    checkpoint.save(trainer.state_dict())
        if history.epoch < recipe.epochs:
            say(f"{job.title}: the learning rate fell below {recipe.stop_below:g}, training ended")
        return trainer.result()


def _furthest(state: State | None, world: World) -> State | None:
    """The state of whichever process has most epochs: those of other machines may have none."""
    epochs = world.interleaved([state["epoch"] if state else 0])
    return world.agreed(state, of=epochs.index(max(epochs)))


def _line(job: Job, row: dict[str, float], seconds: float) -> str:
    return (
        f"{job.title} epoch {row['epoch']}/{job.recipe.epochs}: loss {row['train_loss']:.4f}, "
        f"validation loss {row['valid_loss']:.4f}, accuracy {row['valid_accuracy']:.4f}, "
        f"AUC {row['valid_auc']:.4f}, {seconds:.0f} s"
    )


def initial_detector(job: Job, device: torch.device, say: Say = silent) -> Detector:
    """The job's network before training: random weights, published ones, or those of a file.

    Raises
    ------
    UserError : as ``build`` and ``load_weights`` do, or the recipe trains the head alone and the
        network does not say what that is.
    """
    recipe = job.recipe
    trained = preprocessing_of(job.network, recipe.pretrained)
    try:
        network = _initial_network(job, say)
    except UserError as error:
        if not trained.fixed_size or trained.image_size == recipe.image_size:
            raise
        raise UserError(
            f"{error}. The weights are for images of {trained.image_size} px, and image_size is "
            f"{recipe.image_size}: with null it is theirs"
        ) from error
    for option in ("head_epochs", "lora"):
        if getattr(recipe, option) and not head_of(network):
            raise UserError(f"{option}: {job.network} does not say what its classifier is")
    images = recipe.preprocessing(job.network)
    if recipe.pretrained:
        say(f"{job.title}: {trained.in_words(images)}")
    detector = Detector(network, images.mean, images.std).to(device)
    return detector.to(memory_format=memory_format(device))


def _initial_network(job: Job, say: Say) -> nn.Module:
    recipe = job.recipe
    network = build(
        job.network,
        width=recipe.width,
        image_size=recipe.image_size,
        published=recipe.pretrained is True,
        **recipe.options,
    )
    if isinstance(recipe.pretrained, str):
        found = load_weights(network, recipe.pretrained).in_words()
        say(f"{job.title}: weights of {recipe.pretrained}" + (f"; {found}" if found else ""))
    return network


class Trainer:
    """A training under way: ``one_epoch`` after the other until it is ``finished``.

    Attributes
    ----------
    detector : as it is now; ``result`` gives it as it was after the best epoch.
    images : the training images, as they are augmented.
    updater : optimiser and schedule.
    steps : updates per epoch.
    history : what the epochs have come to.

    >>> from facetell.dataset.demo import packed_demo
    >>> from facetell.training.recipe import Recipe
    >>> sets = packed_demo("demo")
    >>> recipe = Recipe(image_size=64, epochs=1, batch_size=8, lr=1e-3, precision="float32")
    >>> job = Job(network="simplenet", recipe=recipe, seed=0,
    ...           train_set=sets["train"], valid_set=sets["valid"])
    >>> trainer = Trainer(job)
    >>> while not trainer.finished:
    ...     row = trainer.one_epoch()
    >>> trainer.history.epoch, list(row)[:3]
    (1, ['epoch', 'lr', 'train_loss'])
    """

    PARTS = ("optimizer", "schedule", "scaler")  # of the updater, with a state of their own

    def __init__(
        self, job: Job, engine: Engine = PROCESSOR, *, world: World = ALONE, say: Say = silent
    ) -> None:
        """Random weights follow from torch's seed, which the caller sets."""
        if job.recipe.frozen:
            raise ValueError("a frozen network is for facetell.training.probe")
        self.job, self.engine, self.world, self.history = job, engine, world, History()
        recipe, device = job.recipe, engine.device
        augment = augmentation(recipe.augment, recipe.image_size)
        self.images = TrainingImages(
            job.train_set, recipe.image_size, augment=augment, seed=job.seed
        )
        self.valid_images = Images(job.valid_set, recipe.image_size, keep=True)
        self.watch_images = (
            None if job.watch is None else Images(job.watch, recipe.image_size, keep=True)
        )
        check_sets(job.train_set, job.valid_set, world.size)
        self.steps = len(self._order())
        self.detector = initial_detector(job, device, say)
        check_image_size(self.detector, recipe.image_size)
        self.multiply_adds = multiply_adds(self.detector, recipe.image_size)
        self.adapters = adapters(self.detector, recipe)
        self.dtype: torch.dtype = world.agreed(
            autocast_dtype(job.network, self.detector, recipe, device) if world.first else None
        )
        self.updater = Updater(self.detector, recipe, self.steps, dtype=self.dtype, world=world)
        check_batches(self.detector, recipe.image_size, self._normalised_together())
        if self.updater.schedule.finished:
            raise UserError(
                f"stop_below: the first learning rate, {self.updater.schedule.lr:g}, is below "
                f"{recipe.stop_below:g}, where training ends; raise lr, or lower stop_below"
            )
        if engine.compile:
            self.detector.network.compile()

    def _normalised_together(self) -> list[int]:
        """How many images batch norm averages over at a time, in every update of an epoch."""
        processes, counts = self.world.size, []
        for batch in {len(batch) for batch in self._order()}:
            shares = [len(range(rank, batch, processes)) for rank in range(processes)]
            slices = [self.updater.micro_batches(mine, batch) for mine in shares]
            together = zip(*slices, strict=True)
            counts += [sum(part.stop - part.start for part in parts) for parts in together]
        return counts

    def _order(self) -> list[list[int]]:
        """Indices of the images of each update of an epoch."""
        recipe = self.job.recipe
        return training_order(self.images, recipe.batch_size, recipe.sampling, self.world.size)

    @property
    def finished(self) -> bool:
        """All epochs are done, or the learning rate has fallen below the recipe's floor."""
        return self.history.epoch >= self.job.recipe.epochs or self.updater.schedule.finished

    def in_words(self) -> str:
        """What this training is: epochs, images, network."""
        job, recipe = self.job, self.job.recipe
        done = self.history.epoch
        epochs = f"{recipe.epochs - done} more epochs" if done else f"{recipe.epochs} epochs"
        if recipe.epochs - done == 1:
            epochs = epochs.removesuffix("s")
        return (
            f"train {job.title}: {epochs} of {len(job.train_set):,} images ({recipe.image_size} "
            f"px, {parameter_count(self.detector):,} parameters)"
        )

    def left(self) -> int:
        """What remains to be done, in units of scoring one image."""
        job = self.job
        scored = len(job.valid_set) + (0 if job.watch is None else len(job.watch))
        each = STEP * sum(map(len, self._order())) + scored
        return each * (job.recipe.epochs - self.history.epoch) + len(job.valid_set)

    def one_epoch(self, bar: Any = None) -> dict[str, float]:
        """Train on every image once, validate, keep the weights if they are the best so far.

        ``bar`` is told of every update (``facetell.common.progress``). Returns the row of the log.
        """
        started, history = time.monotonic(), self.history
        row = {"epoch": history.epoch + 1, "lr": self.updater.schedule.lr}
        row |= self.train_one_epoch(bar)
        row |= self.validate()
        self.updater.schedule.epoch(row["valid_loss"])
        history.add(row, self.job.recipe.select, self.detector.network)
        history.seconds += time.monotonic() - started
        if self.watch_images is not None:
            scores = self._margins(self.watch_images, self.dtype)
            history.watched.append(torch.from_numpy(scores).float())
        return row

    def train_one_epoch(self, bar: Any = None) -> dict[str, float]:
        """Update by every batch once: train_loss and train_accuracy, as they were on the way."""
        bar = progress(None, "", show=False) if bar is None else bar
        self.images.epoch = epoch = self.history.epoch
        # a fresh stream for dropout, so that a resumed run draws as an uninterrupted one does
        torch.manual_seed(seed_of(self.job.seed, epoch, self.world.rank))
        self.updater.begin_epoch(epoch)
        order = self._order()
        batches = training_batches(
            self.images,
            order,
            self.engine.decoders,
            self.world,
            pinned=pins_memory(self.engine.device),
        )
        total, seen = 0.0, 0
        correct = torch.zeros((), dtype=torch.int64)
        recent: list[tuple[torch.Tensor, int, torch.Tensor]] = []
        every = 1 if self.engine.device.type == "cpu" else LOOK_EVERY
        for step, (indices, pixels, labels) in enumerate(batches, start=1):
            loss, hits = self.updater.update(pixels, labels, len(order[step - 1]))
            recent.append((loss, step, indices))
            correct = correct + hits
            bar.update()
            worked(STEP * len(order[step - 1]))
            if len(recent) == every or step == len(order):
                total += self._finite_sum(recent)
                seen += sum(len(indices) for _, _, indices in recent)
                bar.set_postfix(loss=f"{total / seen:.3f}", refresh=False)
                recent.clear()
        total, right, count = self.world.total(total, float(correct), seen)
        return {"train_loss": total / count, "train_accuracy": right / count}

    def _finite_sum(self, recent: list[tuple[torch.Tensor, int, torch.Tensor]]) -> float:
        """Sum of the losses; an error that says where, if one is not finite."""
        losses = torch.stack([loss for loss, _, _ in recent]).cpu().double()
        finite = torch.isfinite(losses)
        if not finite.all():
            loss, step, indices = recent[int((~finite).nonzero()[0])]
            ids = [self.job.train_set.ids[index] for index in indices.tolist()]
            shown = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
            raise UserError(
                f"{self.job.title}: loss {float(loss)} in epoch {self.history.epoch + 1}, step "
                f"{step}, at learning rate {self.updater.schedule.lr:g}, on the images {shown}: "
                "lower lr, or set precision to float32"
            )
        return float(losses.sum())

    def validate(self) -> dict[str, float]:
        """valid_loss, valid_accuracy and valid_auc of the detector as it is."""
        scores = self._margins(self.valid_images, self.dtype)
        remedy = "lower lr, or set precision to float32"
        return self.history.validation(self.job, scores, remedy)

    def _margins(self, images: Images, dtype: torch.dtype) -> np.ndarray:
        return margins(
            self.detector,
            images,
            self.engine.device,
            dtype=dtype,
            workers=self.engine.decoders,
            world=self.world,
        )

    def result(self) -> Fit:
        """The detector at its best epoch, its threshold, and what the training cost."""
        valid, history = self.job.valid_set, self.history
        self.detector.network.load_state_dict(history.weights)
        if self.adapters is not None:
            self.detector.network = self.adapters.merged()
        self.detector.requires_grad_(True).eval()
        cost = self._cost()
        scores = self._margins(self.valid_images, torch.float32)
        threshold = best_threshold(valid.labels, scores)
        watched = (
            torch.stack(history.watched).double().numpy() if history.watched else np.empty((0, 0))
        )
        heat = temperature(valid.labels, scores)
        return Fit(self.detector, threshold, heat, history.log, cost, watched)

    def _cost(self) -> dict[str, Any]:
        return cost_of(
            self.detector,
            self.history,
            images=sum(map(len, self._order())),
            multiply_adds=self.multiply_adds,
            dtype=self.dtype,
            processes=self.world.size,
        )

    def state_dict(self) -> State:
        """All that changes in training: what ``facetell.training.checkpoint`` saves."""
        parts = {name: getattr(self.updater, name).state_dict() for name in self.PARTS}
        return vars(self.history) | {"detector": self.detector.state_dict()} | parts

    def load_state_dict(self, state: State) -> None:
        """Go on from the ``state_dict`` of a trainer of the same job."""
        for name in vars(self.history):
            setattr(self.history, name, state[name])
        self.detector.load_state_dict(state["detector"])
        for name in self.PARTS:
            getattr(self.updater, name).load_state_dict(state[name])
