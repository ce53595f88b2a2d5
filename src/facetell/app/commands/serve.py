# SPDX-License-Identifier: Apache-2.0
"""``facetell serve``."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from facetell.app.commands.arguments import Folder, Model


def serve(
    model: Model = None,
    folder: Folder = Path("models"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0: any that is free.")
    ] = 8000,
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A host name under which the server is called, beside localhost and addresses. "
            "May be given again.",
        ),
    ] = None,
    upload_mb: Annotated[float, typer.Option(help="Most MB of a request.")] = 12,
    megapixels: Annotated[float, typer.Option(help="Most megapixels of a photo.")] = 25,
    photos: Annotated[int, typer.Option(help="Most photos in a request.")] = 8,
    models: Annotated[int, typer.Option(help="Most detectors that a request may name.")] = 16,
    upload_seconds: Annotated[float, typer.Option(help="Most seconds of an upload.")] = 20,
    seconds: Annotated[float, typer.Option(help="Most seconds until an answer.")] = 30,
    uploads: Annotated[int, typer.Option(help="Most uploads at once.")] = 32,
    queue: Annotated[int, typer.Option(help="Most requests that wait.")] = 64,
    memory_mb: Annotated[
        float, typer.Option(help="Most MB for models; the least used are put away.")
    ] = 2048,
) -> None:
    """Serve a page and a JSON API that judge and explain photos.

    Without `--model`, all detectors of the folder are served, the best first. Only this machine
    can reach the server, unless `--host` says otherwise. No photo is stored or logged.
    """
    try:
        from facetell.app.serve.run import run
    except ModuleNotFoundError as error:
        from facetell.common.errors import UserError

        raise UserError(f"{error.name} is missing: pip install 'facetell[serve]'") from error
    from facetell.app.serve.limits import Limits
    from facetell.app.trained import chosen

    given = locals()
    limits = Limits(**{one.name: given[one.name] for one in fields(Limits)})
    files = chosen(model or (), folder, everyone=not model)
    run(files, limits, host=host, port=port, names=name or ())
