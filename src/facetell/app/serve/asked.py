# SPDX-License-Identifier: Apache-2.0
"""What a request asks for beside its photos: models, a method, and what is done to the photo."""

from typing import Annotated, Any, TypeVar

import torch
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from facetell.app.serve.limits import Limits
from facetell.app.serve.refusals import Code, Refused
from facetell.app.serve.upload import PHOTO, Form
from facetell.evaluation.perturbations import PERTURBATIONS
from facetell.explain import METHODS

ORDER = ("crop", "brightness", "blur", "jpeg")  # as a photo is cropped, edited, and saved
# those whose maps come with one pass: a page must not wait for hundreds
OFFERED = tuple(name for name, one in METHODS.items() if one.one_pass)
Name = Annotated[str, Field(min_length=1, max_length=200)]


def _offered(method: str) -> str:
    if method not in OFFERED:
        raise PydanticCustomError("unknown", "there are {known}", {"known": ", ".join(OFFERED)})
    return method


def _true_or_false(text: Any) -> Any:
    if isinstance(text, str) and text not in ("true", "false"):
        raise PydanticCustomError("bool", "it must be true or false")
    return text


A = TypeVar("A", bound="ForPrediction")


class Changes(BaseModel):
    """Perturbations of the fitted photo, those of the robustness suite, in the order of
    ``ORDER``; what is left out is not done.

    >>> Changes(brightness=0.5).apply(torch.full((1, 3, 32, 32), 0.5)).max().item()
    0.25
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    crop: Annotated[int, Field(ge=16, le=224)] | SkipJsonSchema[None] = Field(
        default=None, description="Side of the middle that is kept and enlarged again, px of 224."
    )
    brightness: Annotated[float, Field(ge=0, le=10)] | SkipJsonSchema[None] = Field(
        default=None, description="Factor of all values."
    )
    blur: Annotated[float, Field(ge=0.1, le=30)] | SkipJsonSchema[None] = Field(
        default=None, description="Standard deviation of Gaussian blur, px of the input."
    )
    jpeg: Annotated[int, Field(ge=1, le=100)] | SkipJsonSchema[None] = Field(
        default=None, description="Quality of JPEG with chroma at half resolution."
    )

    @property
    def levels(self) -> dict[str, float]:
        """What is done, in the order in which it is done."""
        given = {name: getattr(self, name) for name in ORDER}
        return {name: level for name, level in given.items() if level is not None}

    def apply(self, images: torch.Tensor) -> torch.Tensor:
        """RGB in [0, 1], float (B, 3, S, S), changed."""
        for name, level in self.levels.items():
            one = PERTURBATIONS[name]
            images = one.function(images, ["photo"] * len(images), **{str(one.level): level})
        return images


class ForPrediction(Changes):
    """The fields of a request for verdicts, beside the photos."""

    models: list[Name] = Field(
        default=[], description="Names of models, one a field; without any, the first."
    )
    find_faces: Annotated[bool, BeforeValidator(_true_or_false)] = Field(
        default=False,
        description="Find faces, and judge each of them, cut out as the training images were. "
        "Otherwise the square in the middle is judged.",
    )


class ForMaps(ForPrediction):
    """The fields of a request for maps, beside the photo."""

    method: Annotated[str, AfterValidator(_offered)] = Field(
        default="gradcam",
        description="How the map is made.",
        json_schema_extra={"enum": list(OFFERED)},
    )
    layer: Name | SkipJsonSchema[None] = Field(
        default=None,
        description="Layer of the network; without it, the one that is recommended for it.",
    )


class ForSheet(ForMaps):
    """The fields of a request for a figure, beside the photo."""

    face: int = Field(default=0, ge=0, le=1_000, description="Which of the faces, counted from 0.")


def read(form: Form, kind: type[A], limits: Limits) -> A:
    """The fields of a form as ``kind``.

    Raises
    ------
    Refused : a field is unknown, given twice, or out of range; there is no photo.
    """
    given: dict[str, Any] = {}
    for name, values in form.fields.items():
        if name == "models":
            given[name] = values
        elif len(values) > 1:
            raise Refused(Code.INVALID, f"The field {name[:50]!r} is given more than once.")
        else:
            given[name] = values[0]
    try:
        asked = kind(**given)
    except ValidationError as error:
        raise Refused(Code.INVALID, _in_words(error)) from error
    if not form.photos:
        raise Refused(Code.INVALID, f"There is no photo: send one as {PHOTO!r}.")
    if kind is not ForPrediction and len(form.photos) > 1:
        raise Refused(Code.INVALID, "One photo is explained at a time.")
    if len(asked.models) > limits.models:
        raise Refused(Code.INVALID, f"A request may name at most {limits.models} models.")
    return asked


def _in_words(error: ValidationError) -> str:
    """The first of the mistakes, without what was given: it may hold anything."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))[:50]
    known = ", ".join(ForSheet.model_fields)
    more = f"; there are {known}" if first["type"] == "extra_forbidden" else ""
    return f"The field {place!r}: {first['msg']}{more}."


def schema(kind: type[ForPrediction], photos: int) -> dict[str, Any]:
    """The request body in OpenAPI's words; ``photos`` is how many may be sent."""
    fields = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    fields.pop("$defs", None)
    for about in fields["properties"].values():
        if about.get("default", "") is None:  # left out; a form has no null
            del about["default"]
    one = {"type": "string", "format": "binary"}
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": photos}
    about = "JPEG, PNG, WebP, BMP, TIFF or GIF"
    photo = {**(one if photos == 1 else many), "description": about}
    fields["properties"] = {PHOTO: photo, **fields["properties"]}
    return {
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": {**fields, "required": [PHOTO]}}},
        }
    }
