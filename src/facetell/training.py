"""Training: one loop for every network; the checkpoint is chosen on validation images alone."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from facetell.detector import Detector
from facetell.errors import UserError
from facetell.files import whole
from facetell.loading import Images, to_unit, training_batches
from facetell.models import build, parameter_count
from facetell.optimisation import Schedule, autocast_type, optimizer
from facetell.packed import Packed
from facetell.progress import progress
from facetell.ranking import auc, best_threshold
from facetell.recipe import Recipe
from facetell.scoring import margins

Say = Callable[[str], None]


@dataclass
class Fit:
    """The result of ``train``: the detector at its best epoch, and how it got there."""

    detector: Detector
    threshold: float  # margin, chosen on validation
    log: list[dict[str, float]]  # one row per epoch
    cost: dict[str, Any]


def train(
    network: str,
    recipe: Recipe,
    train_set: Packed,
    valid_set: Packed,
    *,
    seed: int,
    device: torch.device,
    state: Path,
    workers: int = 0,
    say: Say = lambda line: print(line, file=sys.stderr),
) -> Fit:
    """Train ``network`` by ``recipe``; what was done before a kill is taken up again.

    Parameters
    ----------
    network : key for ``facetell.models.build``.
    train_set, valid_set : the only images that training, checkpoint and threshold ever see.
    state : folder for the resumable state, written after every epoch. It is taken up only if it
        was made by the same network, recipe, seed and images; afterwards the caller removes it.
    workers : processes that decode images beside this one; they do not change the result.
    say : gets a line of text per epoch.

    Raises
    ------
    UserError : the loss is no longer finite (names epoch, step and learning rate).
    """
    torch.manual_seed(seed)
    run = _Run(network, recipe, train_set, valid_set, seed, device, workers)
    run.resume(state, say)
    bar = progress(None, f"training {network}", total=recipe.epochs * run.steps)
    bar.update(run.epoch * run.steps)
    while run.epoch < recipe.epochs and not run.schedule.finished:
        row = run.one_epoch(bar)
        say(
            f"{network} epoch {run.epoch}/{recipe.epochs}: loss {row['train_loss']:.4f}, "
            f"validation loss {row['valid_loss']:.4f}, accuracy {row['valid_accuracy']:.4f}, "
            f"AUC {row['valid_auc']:.4f}, {run.seconds:.0f} s"
        )
        run.save(state)
    bar.close()
    if run.schedule.finished:
        say(f"{network}: the learning rate fell below {recipe.stop_below:g}, training ended")
    return run.result()


@dataclass
class _Run:
    """A training under way: what is fixed, and below it what changes and is saved."""

    network: str
    recipe: Recipe
    train_set: Packed
    valid_set: Packed
    seed: int
    device: torch.device
    workers: int

    epoch: int = 0  # epochs that are done
    seconds: float = 0.0  # spent in them
    best: tuple[float, float] = (-1.0, 0.0)  # (validation AUC, - validation loss)
    best_epoch: int = 0
    log: list[dict[str, float]] = field(default_factory=list)
    weights: dict[str, torch.Tensor] = field(default_factory=dict)  # of the best epoch

    def __post_init__(self) -> None:
        recipe = self.recipe
        network = build(
            self.network, width=recipe.width, image_size=recipe.image_size, **recipe.options
        )
        self.detector = Detector(network, recipe.mean, recipe.std).to(self.device)
        self.detector.to(memory_format=torch.channels_last)
        self.images = Images(
            self.train_set, recipe.image_size, augment=recipe.augment, seed=self.seed
        )
        self.steps = len(training_batches(self.images, recipe.batch_size))
        self.optimizer = optimizer(self.detector, recipe)
        self.schedule = Schedule(self.optimizer, recipe, recipe.epochs * self.steps)
        self.numbers = autocast_type(recipe.precision, self.device)

    def one_epoch(self, bar: Any) -> dict[str, float]:
        """Train on every image once, validate, keep the weights if they are the best so far."""
        started = time.monotonic()
        row = {"epoch": self.epoch + 1, "lr": self.schedule.lr}
        self.images.epoch = self.epoch
        row |= self._train(bar)
        row |= self._validate()
        self.schedule.epoch(row["valid_loss"])
        self.log.append(row)
        if (key := (row["valid_auc"], -row["valid_loss"])) > self.best:
            self.best, self.best_epoch = key, self.epoch + 1
            weights = self.detector.network.state_dict()
            self.weights = {name: value.detach().cpu().clone() for name, value in weights.items()}
        self.epoch += 1
        self.seconds += time.monotonic() - started
        return row

    def _train(self, bar: Any) -> dict[str, float]:
        self.detector.train()
        total = correct = seen = 0.0
        batches = training_batches(self.images, self.recipe.batch_size, self.workers)
        for step, (_, pixels, labels) in enumerate(batches, start=1):
            loss, hits = self._step(pixels, labels.to(self.device), step)
            total += loss * len(labels)
            correct += hits
            seen += len(labels)
            bar.update()
            bar.set_postfix(loss=f"{total / seen:.3f}", refresh=False)
        return {"train_loss": total / seen, "train_accuracy": correct / seen}

    def _step(self, pixels: torch.Tensor, labels: torch.Tensor, step: int) -> tuple[float, int]:
        """One update; the mean loss of the batch and how many images were right."""
        inputs = to_unit(pixels, self.device).contiguous(memory_format=torch.channels_last)
        mixed = self.numbers != torch.float32
        with torch.autocast(self.device.type, self.numbers, enabled=mixed):
            logits = self.detector(inputs).float()
            loss = cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        if not torch.isfinite(loss):
            raise UserError(
                f"the loss is {loss.item()} in epoch {self.epoch + 1}, step {step}, at learning "
                f"rate {self.schedule.lr:g}: lower lr, or set precision to float32"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.recipe.clip:
            torch.nn.utils.clip_grad_norm_(self.detector.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.schedule.step()
        return float(loss.detach()), int((logits.argmax(1) == labels).sum())

    def _validate(self) -> dict[str, float]:
        scores = self._valid_margins(self.numbers)
        labels = self.valid_set.labels
        if not np.isfinite(scores).all():
            raise UserError(
                f"the answers on validation images are not finite after epoch {self.epoch + 1}: "
                "lower lr, or set precision to float32"
            )
        # the cross-entropy of two logits depends on their difference alone
        loss = np.logaddexp(0, np.where(labels == 1, -scores, scores)).mean()
        return {
            "valid_loss": float(loss),
            "valid_accuracy": float(((scores >= 0) == labels).mean()),
            "valid_auc": auc(labels, scores),
        }

    def _valid_margins(self, numbers: torch.dtype) -> np.ndarray:
        images = Images(self.valid_set, self.recipe.image_size)
        return margins(self.detector, images, self.device, numbers=numbers, workers=self.workers)

    def result(self) -> Fit:
        """The detector at its best epoch, its threshold, and what the training cost."""
        self.detector.network.load_state_dict(self.weights)
        self.detector.eval()
        seen = self.epoch * len(self.train_set)
        on_gpu = self.device.type == "cuda"
        cost = {
            "parameters": parameter_count(self.detector),
            "seconds": round(self.seconds, 1),
            "images_per_second": round(seen / max(self.seconds, 1e-9), 1),
            "epochs": self.epoch,
            "best_epoch": self.best_epoch,
            "device": torch.cuda.get_device_name(self.device) if on_gpu else "cpu",
            "precision": str(self.numbers).removeprefix("torch."),
        }
        threshold = best_threshold(self.valid_set.labels, self._valid_margins(torch.float32))
        return Fit(self.detector, threshold, self.log, cost)

    SAVED = ("epoch", "seconds", "best", "best_epoch", "log", "weights")
    PARTS = ("detector", "optimizer", "schedule")

    def owner(self) -> dict[str, Any]:
        """What a saved state must have in common with a run that takes it up."""
        return {
            "network": self.network,
            "recipe": {name: str(value) for name, value in asdict(self.recipe).items()},
            "seed": self.seed,
            "data": [self.train_set.fingerprint, self.valid_set.fingerprint],
            "numbers": str(self.numbers),
        }

    def save(self, folder: Path) -> None:
        content = {name: getattr(self, name) for name in self.SAVED}
        content |= {name: getattr(self, name).state_dict() for name in self.PARTS}
        content |= {"owner": self.owner(), "random": torch.get_rng_state()}
        with whole(folder / "last.pt") as temporary:
            torch.save(content, temporary)

    def resume(self, folder: Path, say: Say) -> None:
        file = folder / "last.pt"
        if not file.exists():
            return
        content = torch.load(file, map_location="cpu", weights_only=True)
        if content["owner"] != self.owner():
            say(f"{file} belongs to another recipe or other images: training starts anew")
            return
        for name in self.SAVED:
            setattr(self, name, content[name])
        for name in self.PARTS:
            getattr(self, name).load_state_dict(content[name])
        torch.set_rng_state(content["random"])
        say(f"{self.network}: going on after epoch {self.epoch}")
