# SPDX-License-Identifier: Apache-2.0
"""A training recipe: every setting of a training, with what it means and what it may be."""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, Strict, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from facetell.common.validation import checked
from facetell.images.loading import Sampling
from facetell.models.preprocessing import Preprocessing, preprocessing_of
from facetell.training.augmentations import AUGMENTATIONS

OptimizerName = Literal["sgd", "adam", "adamw", "nadam"]
ScheduleName = Literal["plateau", "onecycle", "cosine", "constant"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
USUAL_SIZE = 224  # px, of networks for ImageNet


def _from_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _augmentations(value: Any) -> Any:
    names = _from_list(value)
    chosen = names if isinstance(names, tuple) else () if names is None else (names,)
    if any(name not in list(AUGMENTATIONS) for name in chosen):
        rule = "Input should be null, one of {known}, or a list of them"
        raise PydanticCustomError("augment", rule, {"known": ", ".join(AUGMENTATIONS)})
    return names


AtLeastOne = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Rgb = Annotated[tuple[float, float, float], BeforeValidator(_from_list)]
PositiveRgb = Annotated[tuple[Positive, Positive, Positive], BeforeValidator(_from_list)]
Augmentations = Annotated[str | tuple[str, ...] | None, BeforeValidator(_augmentations)]


SETTINGS = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
Names = Annotated[tuple[str, ...], BeforeValidator(_from_list), Strict()]


@dataclass(frozen=True, kw_only=True, config=SETTINGS | {"strict": False})  # made of a mapping
class Lora:
    """Low-rank adaptation (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2022).

    Of each adapted layer the weights W stay, and alpha / rank times a product of two thin matrices
    is trained beside them. Afterwards it is added to W.

    >>> Lora(rank=4).alpha
    16
    """

    rank: Annotated[AtLeastOne, Strict()] = 8
    """Rows of the one matrix, columns of the other."""

    alpha: Annotated[AtLeastOne, Strict()] = 16
    """How much the product counts."""

    dropout: Annotated[float, Field(ge=0, lt=1), Strict()] = 0.0
    """Share of a layer's inputs that its matrices do not see in an update."""

    layers: Names | None = None
    """Ends of names of the layers to adapt, such as ``qkv``. Null: all linear layers but the
    classifier; of a network without any, its convolutions."""


@dataclass(frozen=True, kw_only=True, config=SETTINGS)
class Recipe:
    """How one network is trained, and how images reach it: a value that does not change.

    >>> recipe = Recipe(image_size=64, epochs=3, batch_size=32, lr=1e-3, augment="flip")
    >>> recipe.optimizer, recipe.schedule
    ('adamw', 'plateau')

    Of settings as a file has them, ``of`` makes one, and says what is wrong:

    >>> Recipe.of({"image_size": 64, "epochs": 3, "batch_size": 32, "lr": 0}, "recipe quick")
    Traceback (most recent call last):
    facetell.common.errors.UserError: recipe quick: lr should be greater than 0, got 0
    """

    image_size: AtLeastOne
    """Side of the square input in pixels."""

    epochs: AtLeastOne
    """Passes over the training images."""

    batch_size: AtLeastOne
    """Images of one update."""

    lr: Positive
    """Learning rate: the highest of ``onecycle`` and ``cosine``, the first of the others."""

    micro_batch: AtLeastOne | None = None
    """Images that go through the network at a time; the gradients of a batch are accumulated.
    Fewer need less memory. Null: the whole batch."""

    sampling: Sampling = "random"
    """What is shuffled. ``person``: images of one person stay together, so that most batches hold
    fakes beside real images of the same faces. See ``facetell.images.loading.training_order``."""

    optimizer: OptimizerName = "adamw"
    """See ``facetell.training.optimisation``."""

    momentum: NotNegative = 0.9
    """Nesterov momentum of ``sgd``; the others have none to set."""

    weight_decay: NotNegative = 0.0
    """L2 penalty, decoupled from the gradient in ``adamw``."""

    schedule: ScheduleName = "plateau"
    """Learning rate over time. ``plateau``, as in the UIUC report: a tenth when the validation loss
    has not fallen by 1% for more than an epoch, then an epoch of rest. ``onecycle``: up for a fifth
    of the updates, then down. ``cosine``: to zero, after ``warmup`` epochs of linear rise.
    ``constant``: always ``lr``."""

    warmup: NotNegative = 0.0
    """Epochs, or a part of one, in which ``cosine`` rises."""

    clip: NotNegative | None = 1.0
    """Bound of the gradient's norm. Null or 0: no bound."""

    stop_below: NotNegative = 0.0
    """Training ends early when the learning rate falls below it."""

    label_smoothing: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the target that is spread over both classes."""

    select: Literal["auc", "accuracy", "loss"] = "auc"
    """What the best epoch is best by, on validation images; equals are told apart by the loss."""

    augment: Augmentations = None
    """One of ``facetell.training.augmentations``, or several to be applied in turn."""

    precision: Precision = "auto"
    """Number format of the forward pass. ``auto``: see ``facetell.training.precision``."""

    width: Positive = 1.0
    """Multiplies the channels of the networks that allow it."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the network's own, such as ``drop_path_rate``."""

    pretrained: bool | str = False
    """False: random weights. True: those of timm's hub. A path: those of a file."""

    head_epochs: Annotated[int, Field(ge=0)] = 0
    """In so many first epochs only the classifier is trained, then everything."""

    frozen: bool = False
    """True: a linear probe. Only a linear classifier is trained, on features that the rest of the
    network gives once per image (``facetell.training.probe``). ``batch_size`` is then that of the
    classifier, and ``precision`` that of the features, where ``auto`` is float32."""

    lora: Lora | None = None
    """Train the classifier and low-rank additions to layers, instead of all weights."""

    mean: Rgb | None = None
    """Subtracted from RGB in [0, 1], before the network. Null: what the weights were trained with,
    0.5 for random ones."""

    std: PositiveRgb | None = None
    """What RGB is divided by after that. Null: as for ``mean``."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.frozen:
            needless = {"augment": self.augment, "lora": self.lora, "head_epochs": self.head_epochs}
            for name, value in needless.items():
                if value:
                    raise ValueError(
                        f"{name} is not for a frozen network, whose features are computed once: "
                        "leave it out, or choose the recipe finetune"
                    )
        return self

    def preprocessing(self, network: str) -> Preprocessing:
        """How images are prepared for a network: as the recipe says, else as its weights want it.

        >>> recipe = Recipe(image_size=64, epochs=1, batch_size=8, lr=0.1, pretrained=True)
        >>> recipe.preprocessing("resnet50").mean, recipe.preprocessing("mixer_b16_224").mean
        ((0.485, 0.456, 0.406), (0.5, 0.5, 0.5))
        """
        trained = preprocessing_of(network, self.pretrained)
        return replace(
            trained,
            image_size=self.image_size,
            mean=trained.mean if self.mean is None else self.mean,
            std=trained.std if self.std is None else self.std,
        )

    @classmethod
    def of(cls, settings: Mapping[str, Any], where: str, network: str | None = None) -> "Recipe":
        """A recipe of plain settings, where lists stand for tuples.

        With a ``network``, ``image_size`` may be null: the size of the images that its weights were
        trained on, and 224 px where there is none.

        Raises
        ------
        UserError : ``where`` and every setting that is unknown, missing or not allowed.
        """
        if network is not None and settings.get("image_size") is None:
            trained = preprocessing_of(network, settings.get("pretrained")).image_size
            settings = {**settings, "image_size": trained or USUAL_SIZE}
        return checked(cls, settings, where)
