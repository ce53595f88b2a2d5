# SPDX-License-Identifier: Apache-2.0
"""The answers of the API, as they are documented."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from facetell.app.serve.refusals import Code

NOTE = (
    "A score is no proof. It says what one detector makes of these pixels, and detectors err, most "
    "of all on photos unlike those that they were trained on."
)
Picture = str  # a data URI


class Answer(BaseModel):
    """What all answers have in common: no field that is not documented."""

    model_config = ConfigDict(extra="forbid")


class Error(Answer):
    """Why there is no answer: ``code`` is for programs, ``sentence`` for people."""

    code: Code
    sentence: str


class Health(Answer):
    """Whether the server takes requests."""

    status: Literal["ok"] = "ok"
    waiting: int = Field(description="Requests that wait or are computed.", ge=0)
    memory_mb: float = Field(description="Weights and working memory of what is loaded.", ge=0)


class Model(Answer):
    """A detector that may be named in a request."""

    name: str
    network: str
    image_size: int = Field(description="Side of its input, px.")
    threshold: float = Field(description="Score from which on the verdict is fake.", ge=0, le=1)
    file_mb: float
    loaded_mb: float | None = Field(description="Of its weights; null: not in memory now.")


class MapMethod(Answer):
    """A method that makes maps."""

    name: str
    title: str
    signed: bool = Field(
        description="Whether values below 0 speak for real; otherwise they are magnitudes."
    )
    caveat: str


class Allowed(Answer):
    """What a request may have at most."""

    upload_mb: float
    megapixels: float
    photos: int
    models: int
    upload_seconds: float
    seconds: float


class Service(Answer):
    """What this server can do; the first model is taken where none is named."""

    version: str
    models: list[Model]
    methods: list[MapMethod]
    limits: Allowed
    note: str = NOTE


class Box(Answer):
    """A face in the photo, px from its upper left corner; it may reach beyond the photo."""

    left: float
    top: float
    right: float
    bottom: float


class Verdict(Answer):
    """What one model says of one face."""

    model: str
    image_size: int = Field(description="Side of the model's input, px.")
    verdict: Literal["real", "fake"]
    margin: float = Field(description="Fake logit minus real logit.")
    score: float = Field(description="Sigmoid of the margin.", ge=0, le=1)
    probability: float = Field(
        description="The score after temperature scaling on validation images.", ge=0, le=1
    )
    threshold: float = Field(description="Score from which on the verdict is fake.", ge=0, le=1)
    novelty: float | None = Field(
        description="How unlike the photo is to validation images; beyond 1, more than nearly all "
        "of them. Null: not known."
    )
    unlike: list[str] = Field(description="The same in sentences; empty: nothing was found.")


class Map(Answer):
    """Where a model looked. ``picture`` is null where there is no map to be believed, and
    ``status`` says why."""

    method: str
    title: str
    layer: str | None
    signed: bool
    status: str
    picture: Picture | None = Field(
        description="JPEG as a data URI. Signed: red for fake, blue for real, over the photo."
    )


class Explained(Verdict):
    """A verdict with its map; ``view`` names what the model saw, in ``seen`` of the face."""

    view: str
    map: Map


class JudgedFace(Answer):
    """A face and the verdicts on it; ``box`` is null where none was looked for."""

    box: Box | None
    models: list[Verdict]


class JudgedPhoto(Answer):
    """One of the photos, in the order in which they were sent."""

    width: int
    height: int
    faces: list[JudgedFace]


class Predictions(Answer):
    """The verdicts on all photos."""

    photos: list[JudgedPhoto]
    note: str = NOTE


class ExplainedFace(Answer):
    """A face, what the models saw of it, and their verdicts and maps.

    ``seen``: by view, which begins with the side in pixels, the input after all changes, PNG as a
    data URI. Sent again as a photo, an unchanged one gives the same verdict.
    """

    box: Box | None
    seen: dict[str, Picture]
    models: list[Explained]


class Explanations(Answer):
    """Verdicts and maps of one photo."""

    width: int
    height: int
    faces: list[ExplainedFace]
    note: str = NOTE
