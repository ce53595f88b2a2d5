# SPDX-License-Identifier: Apache-2.0
"""The numbers that four reports print, as data, each with the setting it was obtained with.

Percentages, gigabytes and seconds are as printed. A setting that a publication does not state is
None. ``read`` marks what is not in the text but in the authors' public code.

Examples
--------
>>> [row.name for row in of_model(ACCURACY, "swin")]
['SWIN-25 Ep', 'SWIN-50 Ep']
>>> of_model(COST, "sepnet")[0].values["parameters"]
506000000.0
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

SOURCES = {
    "S0": "Keriotis, Jin and Bauer, *Explainability of Deep Computer Vision Models for "
    "AI-Generated Faces*, University of Illinois (the UIUC report)",
    "S2": "Joglekar and Lilek, *Project Report*, January 2022 (a course report)",
    "S3": "Jadhav and Dey, *Explainable AI for Deepfake Image Analysis*, slides on their CVIP 2023 "
    "paper (the TrueFace study)",
    "S4": "Geva and Naftali, *Computer Vision Project*, January 2022 (a course report)",
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a publication trained on, and how; named like the fields of
    ``facetell.training.recipe``.

    ``data`` is the layout of the set (``facetell.dataset.layouts``) where we have one for it, else
    a description; ``images`` are those of training.
    """

    source: str
    data: str
    images: int | None = None
    epochs: int | None = None
    image_size: int | None = None
    optimizer: str | None = None
    lr: float | None = None
    batch_size: int | None = None
    augment: tuple[str, ...] | None = None
    pretrained: bool | None = None  # on ImageNet
    select: str | None = None


@dataclass(frozen=True)
class Row:
    """One printed row: our key of the network, its name in print, its setting, and the numbers."""

    model: str
    name: str
    setting: Setting
    values: dict[str, float]


def of_model(rows: Iterable[Row], model: str) -> list[Row]:
    """The rows of one network, by our key of it; empty if nothing was published of it.

    Examples
    --------
    >>> of_model(PRESOCIAL, "resnet50")[0].values
    {'accuracy': 99.71, 'f1': 99.71}
    >>> of_model(PRESOCIAL, "swin")
    []
    """
    return [row for row in rows if row.model == model]


# S0: 25 epochs unless noted; SWIN saw 256 px, the others 224 (section 3.1)
UIUC = Setting(
    source="S0",
    data="faces140k",
    images=100_000,
    epochs=25,
    image_size=224,
    optimizer="sgd",
    lr=1e-3,
    batch_size=64,
    augment=(),
    pretrained=False,
)
_VIT = UIUC
_SWIN = replace(UIUC, image_size=256)
# section 2.3 gives batch 1 to RCNN as such, section 3.1 only to its training with augmentation
_RCNN = replace(UIUC, epochs=15, batch_size=1)
_SEPNET = replace(UIUC, optimizer="nadam", lr=1e-4, batch_size=32)


def _accuracy(
    model: str, name: str, setting: Setting, train: float, valid: float, test: float
) -> Row:
    return Row(model, name, setting, {"train": train, "valid": valid, "test": test})


# S0, Table 1: accuracy in %; a verdict is the larger of two logits, here margin >= 0
ACCURACY = (
    _accuracy("rcnn", "RCNN", _RCNN, 99.99, 91.51, 91.59),
    _accuracy("sepnet", "SepNet", _SEPNET, 99.96, 88.85, 89.49),
    _accuracy("rcnn_aug", "RCNN-Aug", replace(_RCNN, augment=("s0",)), 90.26, 89.39, 89.72),
    _accuracy("sepnet_aug", "SepNet-Aug", replace(_SEPNET, augment=("s0",)), 98.65, 96.74, 96.64),
    _accuracy("vit", "ViT", _VIT, 94.94, 85.95, 86.26),
    _accuracy("swin", "SWIN-25 Ep", _SWIN, 92.21, 94.52, 94.49),
    _accuracy("swin", "SWIN-50 Ep", replace(_SWIN, epochs=50), 97.84, 94.96, 96.22),
)

# S0, Tables 3 and 4: accuracy in % and its change relative to clean accuracy in %. By the changes,
# the rows that are printed as SepNet and SWIN are of SepNet-Aug and of SWIN after 50 epochs:
# 94.56 is 2.15% below 96.64, and 84.55 is 12.13% below 96.22. Each variant is one of our
# perturbations (``facetell.evaluation.perturbations``) at a level.
VARIANTS: dict[str, tuple[str, float | None]] = {
    "grayscale": ("grayscale", None),
    "hue": ("hue", 0.2),
    "blur_1": ("blur", 1),
    "blur_2": ("blur", 2),
    "crop": ("crop", 160),
}


def variants_among(variants: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Which of ``variants`` (of metrics/models/<model>.json) the UIUC report has, by its name.

    They are told by perturbation and level: ours may be called otherwise.

    Examples
    --------
    >>> variants_among({"soft": {"perturbation": "blur", "level": 2.0},
    ...                 "crop": {"perturbation": "crop", "level": 100}})
    {'blur_2': 'soft'}
    """
    ours = {
        (numbers["perturbation"], numbers.get("level")): name for name, numbers in variants.items()
    }
    return {name: ours[variant] for name, variant in VARIANTS.items() if variant in ours}


def _perturbed(
    model: str,
    name: str,
    setting: Setting,
    accuracies: tuple[float, ...],
    changes: tuple[float, ...],
) -> Row:
    values = dict(zip(VARIANTS, accuracies, strict=True))
    changed = zip((f"{variant}_change" for variant in VARIANTS), changes, strict=True)
    return Row(model, name, setting, values | dict(changed))


PERTURBED = (
    _perturbed(
        "rcnn",
        "RCNN",
        _RCNN,
        (80.85, 68.46, 88.31, 66.10, 81.75),
        (-11.73, -25.25, -3.58, -27.83, -10.74),
    ),
    _perturbed(
        "sepnet_aug",
        "SepNet",
        replace(_SEPNET, augment=("s0",)),
        (94.56, 91.31, 85.12, 50.26, 91.27),
        (-2.15, -5.52, -11.92, -47.99, -5.56),
    ),
    _perturbed(
        "vit",
        "ViT",
        _VIT,
        (66.30, 67.14, 84.68, 82.18, 58.12),
        (-23.14, -22.17, -1.83, -4.73, -32.62),
    ),
    _perturbed(
        "swin",
        "SWIN",
        replace(_SWIN, epochs=50),
        (84.55, 76.41, 81.77, 69.58, 58.83),
        (-12.13, -20.59, -15.02, -27.69, -38.86),
    ),
)

# S0, Table 2, "with a batch size of 32": parameters, memory (GB, of the GPU by the context), train
# time (s) and storage (GB). Epochs stand there for RCNN alone; the other two are taken as 25. The
# storage is 4 bytes per parameter if a GB is 1024 MB of 1,000,000 bytes.
STORAGE_GB = 1.024e9  # bytes
COST = (
    Row(
        "rcnn",
        "RCNN (15)",
        replace(_RCNN, batch_size=32),
        {"parameters": 1.27e9, "seconds": 17_647, "disk_gb": 4.95},
    ),
    Row(
        "sepnet",
        "SepNet",
        _SEPNET,
        {"parameters": 506e6, "gpu_memory_gb": 9.5, "seconds": 16_189, "disk_gb": 1.98},
    ),
    Row(
        "swin",
        "SWIN",
        replace(_SWIN, batch_size=32),
        {"parameters": 27.5e6, "gpu_memory_gb": 8.1, "seconds": 17_483, "disk_gb": 0.12},
    ),
)

# S2 and S4 trained on two sets that have no public name; sizes of training are not stated.
# Image size, augmentation and normalisation are read.
_FACE_SWAPS = Setting(
    source="S2",
    data="face swaps",
    epochs=5,
    image_size=256,
    optimizer="adam",
    lr=1e-3,
    batch_size=32,
    augment=("course",),
    pretrained=False,
    select="accuracy",
)
_SYNTHETIC = replace(_FACE_SWAPS, data="synthetic faces")
_XCEPTION = replace(_SYNTHETIC, pretrained=True)

# S2 (answers 8, 14, 27) and S4 (8, 14, 27): accuracy in % at the epoch of the highest validation
# accuracy. S4 calls all its SimpleNet numbers approximate, and does not say whether its 98.4 is of
# validation or test images. Tested on 1400 real + 700 fake images (face swaps) and 551 real + 552
# fake ones (synthetic), where 50.04 is a constant answer.
BEST_EPOCH = (
    Row(
        "simplenet",
        "SimpleNet, face swaps (S2)",
        _FACE_SWAPS,
        {"epoch": 3, "valid": 87.29, "test": 84.62},
    ),
    Row(
        "simplenet",
        "SimpleNet, face swaps (S4)",
        replace(_FACE_SWAPS, source="S4"),
        {"epoch": 5, "valid": 87.5, "test": 85.0},
    ),
    Row(
        "simplenet",
        "SimpleNet, synthetic (S2)",
        _SYNTHETIC,
        {"epoch": 1, "valid": 50.04, "test": 50.04},
    ),
    Row(
        "simplenet",
        "SimpleNet, synthetic (S4)",
        replace(_SYNTHETIC, source="S4"),
        {"epoch": 1, "valid": 50.75, "test": 50.5},
    ),
    Row(
        "xception",
        "XceptionBased, synthetic (S2)",
        _XCEPTION,
        {"epoch": 2, "valid": 97.27, "test": 97.10},
    ),
    Row(
        "xception",
        "XceptionBased, synthetic (S4)",
        replace(_XCEPTION, source="S4", epochs=2),
        {"epoch": 1, "train": 89.25, "test": 98.4},
    ),
)

# S3: 150,000 pre-social images in all; the slides state neither the split nor the training
_TRUEFACE = Setting(source="S3", data="trueface")
# B0 and B1 are in the ablation alone, whose row of B2 is the one that was trained on Telegram
_TELEGRAM = replace(_TRUEFACE, data="trueface, Telegram only")

# S3: accuracy and F1 in % on pre-social images
PRESOCIAL = (
    Row("vgg19", "VGG19", _TRUEFACE, {"accuracy": 99.95, "f1": 99.95}),
    Row("resnet50", "ResNet50", _TRUEFACE, {"accuracy": 99.71, "f1": 99.71}),
    Row("densenet121", "DenseNet121", _TRUEFACE, {"accuracy": 99.82, "f1": 99.83}),
    Row("mnasnet", "MnasNet", _TRUEFACE, {"accuracy": 99.88, "f1": 99.88}),
    Row("efficientnet_b0", "EfficientNet-B0, from Telegram", _TELEGRAM, {"accuracy": 99.09}),
    Row("efficientnet_b1", "EfficientNet-B1, from Telegram", _TELEGRAM, {"accuracy": 99.41}),
    Row("efficientnet_b2", "EfficientNet-B2", _TRUEFACE, {"accuracy": 99.97, "f1": 99.97}),
)

# S3: accuracy in % by what was trained on, on each platform and on all test images (Overall or
# Combined). The ablation of EfficientNet has the row of B2 that was trained on Telegram, so B0 and
# B1 are taken to be too; it alone prints the average. (That of B1 is 98.96 by its own row.) What
# the table of pre-social images was trained on is not stated; it is taken as pre-social images.
TESTED = ("presocial", "telegram", "twitter", "facebook", "overall", "average")
_NETWORKS = {
    "vgg19": "VGG19",
    "resnet50": "ResNet50",
    "densenet121": "DenseNet121",
    "mnasnet": "MnasNet",
    "efficientnet_b0": "EfficientNet-B0",
    "efficientnet_b1": "EfficientNet-B1",
    "efficientnet_b2": "EfficientNet-B2",
}


def _crossed(data: str, printed: dict[str, tuple[float, ...]]) -> tuple[Row, ...]:
    setting = replace(_TRUEFACE, data=data)
    return tuple(
        Row(model, _NETWORKS[model], setting, dict(zip(TESTED, numbers, strict=False)))
        for model, numbers in printed.items()
    )


CROSS = {
    "presocial": tuple(
        replace(row, values={"presocial": row.values["accuracy"]})
        for row in PRESOCIAL
        if row.setting == _TRUEFACE
    ),
    "combined": _crossed(
        "trueface",
        {
            "vgg19": (99.09, 99.90, 99.92, 99.87, 99.73),
            "resnet50": (97.90, 99.82, 99.82, 99.78, 99.39),
            "densenet121": (98.94, 99.90, 99.92, 99.93, 99.73),
            "mnasnet": (99.40, 99.93, 99.93, 99.92, 99.79),
            "efficientnet_b2": (99.85, 100.0, 100.0, 99.98, 99.96),
        },
    ),
    "telegram": _crossed(
        _TELEGRAM.data,
        {
            "vgg19": (96.84, 96.78, 93.80, 97.10, 96.15),
            "resnet50": (96.68, 96.43, 98.65, 98.75, 97.65),
            "densenet121": (98.40, 98.18, 99.17, 99.25, 98.75),
            "mnasnet": (95.80, 95.58, 97.73, 98.67, 96.85),
            "efficientnet_b0": (99.09, 98.98, 98.85, 99.63, 99.14, 99.14),
            "efficientnet_b1": (99.41, 99.38, 97.50, 99.55, 98.93, 98.95),
            "efficientnet_b2": (99.05, 99.15, 99.55, 99.67, 99.38, 99.36),
        },
    ),
    "twitter": _crossed(
        "trueface, Twitter only",
        {
            "vgg19": (93.11, 97.03, 97.22, 97.55, 96.28),
            "resnet50": (93.59, 97.93, 97.23, 98.27, 96.74),
            "densenet121": (96.18, 98.83, 98.20, 99.18, 98.11),
            "mnasnet": (95.49, 97.93, 94.82, 96.38, 96.09),
            "efficientnet_b2": (97.97, 99.57, 99.17, 99.52, 99.10),
        },
    ),
    "facebook": _crossed(
        "trueface, Facebook only",
        {
            "vgg19": (93.75, 98.22, 97.63, 93.67, 95.97),
            "resnet50": (95.46, 98.72, 98.72, 95.22, 97.03),
            "densenet121": (98.00, 99.38, 99.32, 97.93, 98.73),
            "mnasnet": (97.20, 99.20, 98.87, 97.25, 98.14),
            "efficientnet_b2": (98.65, 99.68, 99.67, 98.87, 99.25),
        },
    ),
}
