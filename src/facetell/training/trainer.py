"""Training: one loop for every network; the checkpoint is chosen on validation images alone."""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from facetell.common.distributed import SynchronisedBatchNorm, World, current
from facetell.common.errors import UserError
from facetell.common.files import whole
from facetell.common.machine import default_workers, repeatable
from facetell.common.progress import progress
from facetell.common.seeding import seed_of
from facetell.images.loading import Images, to_unit, training_batches, training_order
from facetell.images.packed import Packed
from facetell.metrics.losses import log_loss
from facetell.metrics.ranking import auc, best_threshold
from facetell.models.detector import Detector
from facetell.models.factory import build, head_of, parameter_count
from facetell.models.inference import margins
from facetell.models.pretrained import load_weights
from facetell.training.augmentations import augmentation
from facetell.training.cost import machine_name, multiply_adds, peak_memory
from facetell.training.optimisation import Schedule, optimizer
from facetell.training.precision import number_format
from facetell.training.recipe import Recipe

Say = Callable[[str], None]
LOOK_EVERY = 20  # steps on a GPU between looks at the loss: each look waits for the GPU


@dataclass
class Fit:
    """The result of ``train``: the detector at its best epoch, and how it got there.

    ``watched`` (epochs, N) are the margins of ``watch`` after each epoch; nothing depends on them.
    """

    detector: Detector
    threshold: float  # margin, chosen on validation
    log: list[dict[str, float]]  # one row per epoch
    cost: dict[str, Any]
    watched: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How the machine is used; none of it changes what is learnt, but for rounding.

    ``workers`` are processes that decode images beside the training (None: as the device wants);
    ``deterministic`` allows only algorithms that give the same bits every time, which matters on a
    GPU; ``compile`` passes the network through ``torch.compile`` (needs a C++ compiler).
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    workers: int | None = None
    deterministic: bool = False
    compile: bool = False


def train(
    network: str,
    recipe: Recipe,
    train_set: Packed,
    valid_set: Packed,
    *,
    seed: int,
    state: Path,
    engine: Engine = Engine(),
    watch: Packed | None = None,
    name: str | None = None,
    say: Say = lambda line: print(line, file=sys.stderr),
) -> Fit:
    """Train ``network`` by ``recipe``; what was done before a kill is taken up again.

    In a process group (``facetell.common.distributed``) every process calls this, with the same
    arguments; together they compute what one would.

    Parameters
    ----------
    network : key for ``facetell.models.build``.
    train_set, valid_set : the only images that training, checkpoint and threshold depend on.
    state : folder for the resumable state, written after every epoch. It is taken up only if it
        was made by the same network, recipe, seed and images; afterwards the caller removes it.
    watch : images to score after every epoch, to be drawn; their labels are never looked at.
    name : what the model is called in messages; the network's key if None.
    say : gets a line of text per epoch.

    Raises
    ------
    UserError : the loss is no longer finite (names epoch, step, learning rate and images).
    """
    world = current()
    if not world.first:
        say = lambda line: None  # noqa: E731
    with repeatable(engine.deterministic, engine.device):
        torch.manual_seed(seed)
        name = name or network
        run = _Run(network, name, recipe, train_set, valid_set, watch, seed, engine, world, say)
        run.resume(state)
        bar = progress(None, f"training {name}", recipe.epochs * run.steps, show=world.first)
        bar.update(run.epoch * run.steps)
        while run.epoch < recipe.epochs and not run.schedule.finished:
            row = run.one_epoch(bar)
            say(
                f"{name} epoch {run.epoch}/{recipe.epochs}: loss {row['train_loss']:.4f}, "
                f"validation loss {row['valid_loss']:.4f}, accuracy {row['valid_accuracy']:.4f}, "
                f"AUC {row['valid_auc']:.4f}, {run.seconds:.0f} s"
            )
            run.save(state)
        bar.close()
        if run.schedule.finished and run.epoch < recipe.epochs:
            say(f"{name}: the learning rate fell below {recipe.stop_below:g}, training ended")
        return run.result()


@dataclass
class _Run:
    """A training under way: what is fixed, and below it what changes and is saved."""

    network: str
    name: str
    recipe: Recipe
    train_set: Packed
    valid_set: Packed
    watch: Packed | None
    seed: int
    engine: Engine
    world: World
    say: Say

    epoch: int = 0  # epochs that are done
    seconds: float = 0.0  # spent in them
    best: tuple[float, float] = (-float("inf"), -float("inf"))  # (recipe.select, - loss)
    best_epoch: int = 0
    log: list[dict[str, float]] = field(default_factory=list)
    weights: dict[str, torch.Tensor] = field(default_factory=dict)  # of the best epoch
    watched: list[torch.Tensor] = field(default_factory=list)  # margins per epoch

    def __post_init__(self) -> None:
        recipe, device = self.recipe, self.engine.device
        self.workers = default_workers(device) if self.engine.workers is None else (
            self.engine.workers
        )  # fmt: skip
        self.detector = Detector(self._network(), recipe.mean, recipe.std).to(device)
        self.detector.to(memory_format=torch.channels_last)
        augment = augmentation(recipe.augment, recipe.image_size)
        self.images = Images(self.train_set, recipe.image_size, augment=augment, seed=self.seed)
        self.steps = len(training_order(self.images, recipe.batch_size))
        self.optimizer = optimizer(self.detector, recipe)
        self.schedule = Schedule(self.optimizer, recipe, self.steps)
        self.numbers = self.world.agreed(
            number_format(self.network, self.detector, recipe, device) if self.world.first else None
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.numbers == torch.float16)
        self.multiply_adds = multiply_adds(self.detector, recipe.image_size)
        if self.engine.compile:
            self.detector.network.compile()
        self.answers: nn.Module = self.detector  # with several processes, wrapped in each phase

    def _network(self) -> nn.Module:
        recipe, given = self.recipe, self.recipe.pretrained
        network = build(
            self.network,
            width=recipe.width,
            image_size=recipe.image_size,
            published=given is True,
            **recipe.options,
        )
        if isinstance(given, str):
            fresh = load_weights(network, given)
            self.say(
                f"{self.name}: weights of {given}"
                + (f"; from random ones: {', '.join(fresh)}" if fresh else "")
            )
        return network

    def one_epoch(self, bar: Any) -> dict[str, float]:
        """Train on every image once, validate, keep the weights if they are the best so far."""
        started = time.monotonic()
        row = {"epoch": self.epoch + 1, "lr": self.schedule.lr}
        self.images.epoch = self.epoch
        # a fresh stream for dropout, so that a resumed run draws as an uninterrupted one does
        torch.manual_seed(seed_of(self.seed, self.epoch, self.world.rank))
        self._begin_phase()
        row |= self._train(bar)
        row |= self._validate()
        self.schedule.epoch(row["valid_loss"])
        self.log.append(row)
        by = {"auc": row["valid_auc"], "accuracy": row["valid_accuracy"], "loss": 0.0}
        if (key := (by[self.recipe.select], -row["valid_loss"])) > self.best:
            self.best, self.best_epoch = key, self.epoch + 1
            weights = self.detector.network.state_dict()
            self.weights = {name: value.detach().cpu().clone() for name, value in weights.items()}
        self.epoch += 1
        self.seconds += time.monotonic() - started
        if self.watch is not None:
            scores = self._margins(self.watch, self.numbers)
            self.watched.append(torch.from_numpy(scores).float())
        return row

    def _begin_phase(self) -> None:
        """Freeze the body while only the head is trained; with several processes, wrap anew."""
        body_frozen = self.epoch < self.recipe.head_epochs
        heads = tuple(f"{name}." for name in head_of(self.detector.network))
        if body_frozen and not heads:
            raise UserError(f"head_epochs: {self.network} does not say what its classifier is")
        self.detector.train()
        for name, parameter in self.detector.network.named_parameters():
            parameter.requires_grad_(not body_frozen or name.startswith(heads))
        if body_frozen:
            self.detector.eval()  # the body's batch norm keeps its statistics
            for name in head_of(self.detector.network):
                self.detector.network.get_submodule(name).train()
        if self.world.size > 1:
            self.answers = DistributedDataParallel(self.detector)

    def _train(self, bar: Any) -> dict[str, float]:
        order = training_order(self.images, self.recipe.batch_size)
        batches = training_batches(self.images, order, self.workers, self.world)
        total, seen = 0.0, 0
        correct = torch.zeros((), dtype=torch.int64)
        recent: list[tuple[torch.Tensor, int, torch.Tensor]] = []
        every = LOOK_EVERY if self.engine.device.type == "cuda" else 1
        for step, (indices, pixels, labels) in enumerate(batches, start=1):
            loss, hits = self._step(pixels, labels, len(order[step - 1]))
            recent.append((loss, step, indices))
            correct = correct + hits
            bar.update()
            if len(recent) == every or step == len(order):
                total += self._looked_at(recent)
                seen += sum(len(images) for _, _, images in recent)
                bar.set_postfix(loss=f"{total / seen:.3f}", refresh=False)
                recent.clear()
        total, right, count = self.world.total(total, float(correct), seen)
        return {"train_loss": total / count, "train_accuracy": right / count}

    def _step(
        self, pixels: torch.Tensor, labels: torch.Tensor, batch: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One update by a batch of ``batch`` images, of which these fall to this process.

        Returns the summed loss over this process's images, and how many of them were right.
        """
        device, mixed = self.engine.device, self.numbers != torch.float32
        self.optimizer.zero_grad(set_to_none=True)
        parts = self._parts(len(labels), batch)
        losses, hits = [], []
        for number, part in enumerate(parts, start=1):
            inputs = to_unit(pixels[part], device)
            truth = labels[part].to(device, non_blocking=True)
            with ExitStack() as stack:
                if self.world.size > 1:
                    stack.enter_context(SynchronisedBatchNorm())
                    if number < len(parts):
                        stack.enter_context(self.answers.no_sync())  # type: ignore[operator]
                with torch.autocast(device.type, self.numbers, enabled=mixed):
                    logits = self.answers(inputs).float()
                loss = cross_entropy(
                    logits, truth, label_smoothing=self.recipe.label_smoothing, reduction="sum"
                )
                # processes average their gradients: the factor turns that into the batch's mean
                self.scaler.scale(loss * (self.world.size / batch)).backward()
            losses.append(loss.detach())
            hits.append((logits.argmax(1) == truth).sum())
        self.scaler.unscale_(self.optimizer)
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.detector.parameters(), self.recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        return torch.stack(losses).sum(), torch.stack(hits).sum()

    def _parts(self, mine: int, batch: int) -> list[slice]:
        """Slices that go through the network in turn: equally many in every process."""
        most = -(-batch // self.world.size)
        count = -(-most // min(self.recipe.micro_batch or most, most))
        count = min(count, max(1, batch // self.world.size))
        edges = np.linspace(0, mine, count + 1).round().astype(int)
        return [slice(start, stop) for start, stop in pairwise(edges)]

    def _looked_at(self, recent: list[tuple[torch.Tensor, int, torch.Tensor]]) -> float:
        """Sum of the losses; an error that says where, if one is not finite."""
        losses = torch.stack([loss for loss, _, _ in recent]).double().cpu()
        finite = torch.isfinite(losses)
        if not finite.all():
            loss, step, indices = recent[int((~finite).nonzero()[0])]
            ids = [self.train_set.ids[index] for index in indices.tolist()]
            shown = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
            raise UserError(
                f"{self.name}: loss {float(loss)} in epoch {self.epoch + 1}, step {step}, "
                f"at learning rate {self.schedule.lr:g}, on the images {shown}: "
                "lower lr, or set precision to float32"
            )
        return float(losses.sum())

    def _validate(self) -> dict[str, float]:
        scores = self._margins(self.valid_set, self.numbers)
        labels = self.valid_set.labels
        if not np.isfinite(scores).all():
            raise UserError(
                f"{self.name}: the answers on validation images are not finite after epoch "
                f"{self.epoch + 1}: lower lr, or set precision to float32"
            )
        return {
            "valid_loss": log_loss(labels, scores),
            "valid_accuracy": float(((scores >= 0) == labels).mean()),
            "valid_auc": auc(labels, scores),
        }

    def _margins(self, packed: Packed, numbers: torch.dtype) -> np.ndarray:
        return margins(
            self.detector,
            Images(packed, self.recipe.image_size),
            self.engine.device,
            numbers=numbers,
            workers=self.workers,
            world=self.world,
        )

    def result(self) -> Fit:
        """The detector at its best epoch, its threshold, and what the training cost."""
        self.detector.network.load_state_dict(self.weights)
        self.detector.requires_grad_(True).eval()
        device = self.engine.device
        seen = self.epoch * sum(map(len, training_order(self.images, self.recipe.batch_size)))
        cost: dict[str, Any] = {
            "parameters": parameter_count(self.detector),
            "multiply_adds": self.multiply_adds,
            "seconds": round(self.seconds, 1),
            "images_per_second": round(seen / max(self.seconds, 1e-9), 1),
            "epochs": self.epoch,
            "best_epoch": self.best_epoch,
            "memory_mib": round(peak_memory()),
            "device": machine_name(device),
            "processes": self.world.size,
            "precision": str(self.numbers).removeprefix("torch."),
        }
        if device.type == "cuda":
            cost["gpu_memory_mib"] = round(torch.cuda.max_memory_allocated(device) / 2**20)
        threshold = best_threshold(
            self.valid_set.labels, self._margins(self.valid_set, torch.float32)
        )
        watched = torch.stack(self.watched).double().numpy() if self.watched else np.empty((0, 0))
        return Fit(self.detector, threshold, self.log, cost, watched)

    SAVED = ("epoch", "seconds", "best", "best_epoch", "log", "weights", "watched")
    PARTS = ("detector", "optimizer", "schedule", "scaler")

    def owner(self) -> dict[str, Any]:
        """What a saved state must have in common with a run that takes it up."""
        sets = (self.train_set, self.valid_set, self.watch)
        return {
            "network": self.network,
            "recipe": {name: str(value) for name, value in asdict(self.recipe).items()},
            "seed": self.seed,
            "data": [part.fingerprint for part in sets if part is not None],
            "numbers": str(self.numbers),
        }

    def save(self, folder: Path) -> None:
        if not self.world.first:
            return
        content = {name: getattr(self, name) for name in self.SAVED}
        content |= {name: getattr(self, name).state_dict() for name in self.PARTS}
        content |= {"owner": self.owner()}
        with whole(folder / "last.pt") as temporary:
            torch.save(content, temporary)

    def resume(self, folder: Path) -> None:
        file = folder / "last.pt"
        if not file.exists():
            return
        content = torch.load(file, map_location="cpu", weights_only=True)
        if content["owner"] != self.owner():
            self.say(f"{file} belongs to another recipe or other images: training starts anew")
            return
        for name in self.SAVED:
            setattr(self, name, content[name])
        for name in self.PARTS:
            getattr(self, name).load_state_dict(content[name])
        self.say(f"{self.name}: going on after epoch {self.epoch}")
