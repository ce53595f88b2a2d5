# SPDX-License-Identifier: Apache-2.0
"""Linear probes: a frozen network, and a linear classifier trained on its features.

The features of each image are computed once and kept (``facetell.training.features``), so that
another probe of the same network takes seconds. The result is a detector like any other.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from facetell.common.errors import UserError
from facetell.common.machine import repeatable
from facetell.common.progress import Say, progress, to_stderr
from facetell.images.loading import Images, TrainingImages, training_order
from facetell.images.packed import Packed
from facetell.metrics.calibration import temperature
from facetell.metrics.ranking import best_threshold
from facetell.models.detector import Detector
from facetell.models.factory import head_of
from facetell.training.checkpoint import History
from facetell.training.cost import cost_of, multiply_adds
from facetell.training.features import FeatureStore
from facetell.training.job import PROCESSOR, Engine, Job
from facetell.training.optimisation import Schedule, optimizer
from facetell.training.precision import autocast_dtype
from facetell.training.sizes import check_image_size, check_sets
from facetell.training.trainer import Fit, initial_detector

CHUNK = 4096  # rows of features that are looked at together


def probe(job: Job, *, features: Path, engine: Engine = PROCESSOR, say: Say = to_stderr) -> Fit:
    """Train the classifier of a frozen network; the epoch is chosen on validation images.

    Features are standardised by the mean and standard deviation of the training images. Both
    become part of the classifier, which begins as zero.

    Parameters
    ----------
    job : its recipe has ``frozen=True``.
    features : folder where features are kept.

    Raises
    ------
    UserError : the classifier of the network is not one linear layer, or as in
        ``facetell.training.trainer.train``.

    >>> from facetell.dataset.demo import packed_demo
    >>> from facetell.training.recipe import Recipe
    >>> from facetell.training.trainer import silent
    >>> sets = packed_demo("demo")
    >>> recipe = Recipe(image_size=64, epochs=2, batch_size=8, lr=1e-3, frozen=True)
    >>> job = Job(network="test_resnet", recipe=recipe, seed=0,
    ...           train_set=sets["train"], valid_set=sets["valid"])
    >>> fit = probe(job, features=Path("features"), say=silent)
    >>> fit.detector(torch.rand(1, 3, 64, 64)).shape, fit.cost["epochs"]
    (torch.Size([1, 2]), 2)
    """
    recipe = job.recipe
    check_sets(job.train_set, job.valid_set)
    with repeatable(engine.deterministic, engine.device):
        torch.manual_seed(job.seed)
        detector = initial_detector(job, engine.device, say).eval()
        check_image_size(detector, recipe.image_size)
        flops = multiply_adds(detector, recipe.image_size)
        network, name = detector.network, linear_classifier(detector.network, job.network)
        layer: Any = network.get_submodule(name)
        network.set_submodule(name, nn.Identity())  # what comes out are features
        store = FeatureStore(
            features,
            detector,
            layer.in_features,
            dtype=_dtype(job, detector, engine),
            engine=engine,
            title=job.title,
            say=say,
        )
        trainer = HeadTrainer(job, store)
        trainer.run(say)
        trainer.give(layer)
        network.set_submodule(name, layer)
        return _fit(trainer, detector.requires_grad_(True), flops)


def _dtype(job: Job, detector: Detector, engine: Engine) -> torch.dtype:
    if job.recipe.precision == "auto":
        return torch.float32  # as detectors answer
    return autocast_dtype(job.network, detector, job.recipe, engine.device)


def _fit(trainer: "HeadTrainer", detector: Detector, flops: int) -> Fit:
    store, history, labels = trainer.store, trainer.history, trainer.job.valid_set.labels
    history.seconds += store.seconds
    cost = cost_of(
        detector,
        history,
        images=trainer.images_per_epoch,
        multiply_adds=flops,
        dtype=store.dtype,
    )
    scores = trainer.margins(trainer.valid)
    watched = np.empty((0, 0))
    if history.watched:
        watched = torch.stack(history.watched).double().numpy()
    return Fit(
        detector=detector,
        threshold=best_threshold(labels, scores),
        temperature=temperature(labels, scores),
        log=history.log,
        cost=cost | {"feature_seconds": round(store.seconds, 1)},
        watched=watched,
    )


def linear_classifier(network: nn.Module, title: str) -> str:
    """Name of the linear layer that is the whole classifier.

    >>> from facetell.models import build
    >>> linear_classifier(build("convnext_atto"), "convnext_atto")
    'head.fc'
    """
    heads = head_of(network)
    if len(heads) == 1:
        layer = network.get_submodule(heads[0])
        if isinstance(layer, nn.Linear) and layer.bias is not None:
            return heads[0]
    raise UserError(
        f"frozen: the classifier of {title} is not one linear layer, so that there is nothing to "
        "probe: choose the recipe finetune"
    )


class HeadTrainer:
    """A linear classifier on standardised features: ``run``, then ``give`` it to the network.

    Attributes
    ----------
    history : as of any training.
    images_per_epoch : that updates are made by.
    """

    def __init__(self, job: Job, store: FeatureStore) -> None:
        recipe = job.recipe
        self.job, self.store, self.history = job, store, History()
        self.device = device = store.engine.device
        images = TrainingImages(job.train_set, recipe.image_size, augment=None, seed=job.seed)
        self.images = images
        self.train = store.of(images)
        self.labels = torch.from_numpy(job.train_set.labels).long()
        self.mean, self.std = (one.to(device) for one in moments(self.train))
        self.valid = self._of(job.valid_set)
        self.watch = None if job.watch is None else self._of(job.watch)
        self.head = nn.Linear(self.train.shape[1], 2, device=device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.order = training_order(images, recipe.batch_size, recipe.sampling)
        self.optimizer = optimizer(self.head, recipe)
        self.schedule = Schedule(self.optimizer, recipe, len(self.order))

    def _of(self, packed: Packed) -> torch.Tensor:
        images = Images(packed, self.job.recipe.image_size)
        return self._standardised(self.store.of(images))

    def _standardised(self, rows: np.ndarray) -> torch.Tensor:
        return (torch.tensor(rows, device=self.device) - self.mean) / self.std

    @property
    def images_per_epoch(self) -> int:
        return sum(map(len, self.order))

    def run(self, say: Say) -> None:
        """All epochs, or until the learning rate has fallen below the recipe's floor."""
        recipe, history = self.job.recipe, self.history
        for _ in progress(range(recipe.epochs), f"probing {self.job.title}"):
            if self.schedule.finished:
                break
            self.one_epoch()
        best = history.log[history.best_epoch - 1]
        say(
            f"{self.job.title}: best epoch {history.best_epoch} of {history.epoch} of its "
            f"classifier: validation loss {best['valid_loss']:.4f}, accuracy "
            f"{best['valid_accuracy']:.4f}, AUC {best['valid_auc']:.4f}"
        )

    def one_epoch(self) -> dict[str, float]:
        """Update by every image once, validate; the row of the log."""
        started, history = time.monotonic(), self.history
        row = {"epoch": history.epoch + 1, "lr": self.schedule.lr}
        row |= self._train() | self._validate()
        self.schedule.epoch(row["valid_loss"])
        history.add(row, self.job.recipe.select, self.head)
        history.seconds += time.monotonic() - started
        if self.watch is not None:
            history.watched.append(torch.from_numpy(self.margins(self.watch)).float())
        return row

    def _train(self) -> dict[str, float]:
        recipe, loss, right = self.job.recipe, 0.0, 0
        self.images.epoch = self.history.epoch
        self.order = training_order(self.images, recipe.batch_size, recipe.sampling)
        for batch in self.order:
            rows = np.sort(batch)  # as they lie on the disk
            logits = self.head(self._standardised(self.train[rows]))
            truth = self.labels[rows].to(self.device)
            each = cross_entropy(logits, truth, label_smoothing=recipe.label_smoothing)
            self.optimizer.zero_grad(set_to_none=True)
            each.backward()
            if recipe.clip:
                nn.utils.clip_grad_norm_(self.head.parameters(), recipe.clip)
            self.optimizer.step()
            self.schedule.step()
            loss += float(each.detach()) * len(batch)
            right += int((logits.argmax(1) == truth).sum())
        seen = self.images_per_epoch
        return {"train_loss": loss / seen, "train_accuracy": right / seen}

    def _validate(self) -> dict[str, float]:
        return self.history.validation(self.job, self.margins(self.valid), "lower lr")

    @torch.no_grad()
    def margins(self, features: torch.Tensor) -> np.ndarray:
        """Fake logit - real logit of standardised features (N, C), float64 (N,)."""
        logits = self.head(features)
        return (logits[:, 1] - logits[:, 0]).cpu().double().numpy()

    def give(self, layer: nn.Linear) -> None:
        """The classifier after its best epoch, for features as they are, to a network's layer."""
        self.head.load_state_dict(self.history.weights)
        values = (self.head.weight.detach(), self.head.bias.detach(), self.mean, self.std)
        weight, bias, mean, std = (value.cpu().double() for value in values)
        with torch.no_grad():
            layer.weight.copy_(weight / std)
            layer.bias.copy_(bias - (weight / std) @ mean)


def moments(features: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each column, float32 (C,); 1 for one that does not vary.

    >>> moments(np.float32([[1, 5], [3, 5]]))
    (tensor([2., 5.]), tensor([1., 1.]))
    """
    count, channels = features.shape
    mean, square = np.zeros(channels), np.zeros(channels)
    for start in range(0, count, CHUNK):
        mean += features[start : start + CHUNK].sum(0, dtype=float) / count
    for start in range(0, count, CHUNK):
        square += ((features[start : start + CHUNK] - mean) ** 2).sum(0) / count
    std = np.sqrt(square)
    std[std < 1e-6 * np.maximum(np.abs(mean), 1e-6)] = 1
    return torch.from_numpy(mean).float(), torch.from_numpy(std).float()
