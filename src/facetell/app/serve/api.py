# SPDX-License-Identifier: Apache-2.0
"""The routes of the page and of the JSON API, documented as OpenAPI."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, Request, Response
from scipy.special import expit
from starlette.exceptions import HTTPException

from facetell import __version__
from facetell.app.serve import page
from facetell.app.serve.answers import (
    Allowed,
    Error,
    Explanations,
    Health,
    MapMethod,
    Model,
    Predictions,
    Service,
)
from facetell.app.serve.asked import OFFERED, ForMaps, ForPrediction, ForSheet, read, schema
from facetell.app.serve.guard import Guard, refusal
from facetell.app.serve.judging import explanations, predictions
from facetell.app.serve.limits import MEGABYTE, Limits
from facetell.app.serve.models import Models
from facetell.app.serve.refusals import STATUS, Code, Refused
from facetell.app.serve.sheet import sheet
from facetell.app.serve.upload import Form, drain, read_form
from facetell.app.serve.worker import Job, Worker
from facetell.explain import METHODS

T = TypeVar("T")
A = TypeVar("A", bound=ForPrediction)
ABOUT = (
    "Verdicts of detectors of AI-generated faces, and maps of where they looked. Photos are sent "
    "as forms; nothing of them is stored or logged. Every error is a JSON object with a code and a "
    "sentence."
)


@dataclass
class Desk:
    """What requests share: the limits, the models, the computing thread, and who uploads now."""

    limits: Limits
    models: Models
    worker: Worker = field(init=False)
    uploads: int = 0

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Begin to compute, again if the worker was closed."""
        self.worker = Worker(self.limits.queue)

    async def form(self, request: Request) -> Form:
        """The form of a request; Refused if it, or the number of uploads, is beyond the limits."""
        if self.uploads >= self.limits.uploads:
            raise Refused(Code.BUSY, "Too many uploads at once; send it again in a moment.", 1)
        self.uploads += 1
        try:
            try:
                return await read_form(request, self.limits)
            except Refused as why:
                if why.code != Code.SLOW_UPLOAD:
                    await drain(request, self.limits)
                raise
        finally:
            self.uploads -= 1

    async def asked(self, request: Request, kind: type[A]) -> tuple[Form, A]:
        """The form of a request, and what it asks for; Refused if that is not to be had."""
        form = await self.form(request)
        asked = read(form, kind, self.limits)
        self.models.check(asked.models)
        return form, asked

    async def done(self, request: Request, work: Callable[[Job[T]], T]) -> T:
        """What the work gives; it is given up when the time is over or the asker has gone."""
        job = self.worker.submit(work)
        result: asyncio.Future[Any] = asyncio.wrap_future(job.result)
        gone: asyncio.Future[Any] = asyncio.create_task(_gone(request))
        try:
            await asyncio.wait(
                {result, gone},
                timeout=self.limits.seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if result.cancelled() or (gone.done() and not result.done()):
                raise Refused(Code.CLOSING, "The server is being stopped.")
            if not result.done():
                raise Refused(
                    Code.TIMEOUT,
                    f"There was no answer within {self.limits.seconds:g} seconds; ask for less.",
                    self.worker.retry_after(),
                )
            return result.result()
        finally:
            gone.cancel()
            job.give_up()


async def _gone(request: Request) -> None:
    """Returns when the asker has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def refused(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, as OpenAPI has them."""
    return {
        status: {
            "model": Error,
            "description": " or ".join(code for code, own in STATUS.items() if own == status),
        }
        for status in statuses
    }


ALWAYS = (400, 500)  # a wrong host, a fault of ours
OF_PHOTOS = (400, 403, 404, 408, 413, 415, 422, 429, 500, 503, 504)
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}


def about(desk: Desk) -> APIRouter:
    """What may be asked of the server itself."""
    router = APIRouter()

    @router.get("/healthz", responses=refused(*ALWAYS), tags=["server"])
    async def health() -> Health:
        """Whether the server takes requests."""
        used = round(desk.models.used / MEGABYTE, 1)
        return Health(waiting=desk.worker.waiting, memory_mb=used)

    @router.get("/api/v1/models", responses=refused(*ALWAYS), tags=["server"])
    async def models() -> Service:
        """The models, the methods of explanation, and what a request may have at most."""
        return service(desk)

    return router


def of_photos(desk: Desk) -> APIRouter:
    """What may be asked of photos."""
    router, limits = APIRouter(), desk.limits

    @router.post(
        "/api/v1/predict",
        responses=refused(*OF_PHOTOS),
        openapi_extra=schema(ForPrediction, limits.photos),
        tags=["photos"],
    )
    async def predict(request: Request) -> Predictions:
        """Verdicts of the chosen models on one photo or several."""
        form, asked = await desk.asked(request, ForPrediction)
        return await desk.done(
            request, lambda job: predictions(desk.models, form.photos, asked, limits.pixels, job)
        )

    @router.post(
        "/api/v1/explain",
        responses=refused(*OF_PHOTOS),
        openapi_extra=schema(ForMaps, 1),
        tags=["photos"],
    )
    async def explain(request: Request) -> Explanations:
        """Verdicts of the chosen models on one photo, and where each of them looked."""
        form, asked = await desk.asked(request, ForMaps)
        return await desk.done(
            request,
            lambda job: explanations(desk.models, form.photos[0], asked, limits.pixels, job),
        )

    @router.post(
        "/api/v1/sheet",
        responses={**PICTURE, **refused(*OF_PHOTOS)},
        response_class=Response,
        openapi_extra=schema(ForSheet, 1),
        tags=["photos"],
    )
    async def draw(request: Request) -> Response:
        """The same as one figure, unchanged and changed: a PNG."""
        form, asked = await desk.asked(request, ForSheet)
        drawn = await desk.done(
            request, lambda job: sheet(desk.models, form.photos[0], asked, limits.pixels, job)
        )
        return Response(drawn, media_type="image/png")

    return router


def service(desk: Desk) -> Service:
    """What this server can do."""
    loaded = desk.models.sizes
    return Service(
        version=__version__,
        models=[
            Model(
                name=name,
                network=one.card["network"],
                image_size=one.card["image_size"],
                threshold=float(expit(one.card["threshold"])),
                file_mb=round(one.path.stat().st_size / MEGABYTE, 2),
                loaded_mb=round(loaded[name] / MEGABYTE, 2) if name in loaded else None,
            )
            for name, one in desk.models.known.items()
        ],
        methods=[
            MapMethod(name=name, title=one.title, signed=one.signed, caveat=one.caveat)
            for name in OFFERED
            for one in [METHODS[name]]
        ],
        limits=Allowed(
            **{one: getattr(desk.limits, one) for one in Allowed.model_fields},
        ),
    )


def application(models: Models, limits: Limits, names: tuple[str, ...] = ()) -> FastAPI:
    """The whole server as an ASGI application; ``names`` are its host names beside localhost."""
    desk = Desk(limits, models)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        desk.open()
        desk.worker.submit(lambda job: models.get(next(iter(models.known))))  # the first is warm
        yield
        await asyncio.to_thread(desk.worker.close)

    app = FastAPI(
        title="facetell",
        version=__version__,
        description=ABOUT,
        docs_url=None,  # it would come from another origin
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        lifespan=life,
        redirect_slashes=False,
    )
    app.state.desk = desk
    app.include_router(about(desk))
    app.include_router(of_photos(desk))
    app.include_router(page.routes(app.openapi))
    app.add_middleware(Guard, names=names)

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> Response:
        allowed = (error.headers or {}).get("Allow")
        if error.status_code == STATUS[Code.METHOD_NOT_ALLOWED]:
            answer = refusal(Refused(Code.METHOD_NOT_ALLOWED, f"Allowed here: {allowed}."))
            answer.headers["Allow"] = allowed or ""
            return answer
        return refusal(Refused(Code.NOT_FOUND, "There is nothing here; see /api."))

    @app.exception_handler(Refused)
    async def say(_: Request, why: Refused) -> Response:
        return refusal(why)

    return app
