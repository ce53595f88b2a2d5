# SPDX-License-Identifier: Apache-2.0
"""A trained detector in the form of the Hugging Face Hub, with all that is known of it."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from facetell.app.trained import known_of
from facetell.common.errors import UserError, printable
from facetell.models import hub
from facetell.report.model_card import Facts, model_card


def facts_of(weights: str | Path) -> Facts:
    """What is known of a weights file, from the checkout that it lies in.

    The scores, the explanations and the data are those of the same checkout (metrics/ beside
    models/), where the scores are of these weights; else nothing was measured.

    Raises
    ------
    UserError : there is no such file, or it is not of facetell.
    """
    weights = Path(weights)
    card = hub.metadata_of(weights)
    known = known_of(weights)
    measured = known is not None and bool(known.scores)
    explained = weights.parent.parent / "metrics" / "explain" / f"{weights.stem}.json"
    return Facts(
        name=weights.stem,
        card=card,
        scores=known.scores if known and measured else None,
        explained=_read(explained) if measured else None,
        data=(known.data or None) if known and measured else None,
        training=(known.training or None) if known else None,
    )


def write_card(
    weights: str | Path, folder: str | Path, *, repo: str | None = None, licence: str | None = None
) -> list[Path]:
    """Write ``model.safetensors``, ``config.json`` and ``README.md``; returns their paths.

    Parameters
    ----------
    weights : models/NAME.safetensors.
    folder : is made if need be.
    repo : ``owner/name`` where it will be published, for the example in the card; None: the folder.
    licence : of the weights, as the Hub names it; see ``facetell.report.model_card``.

    Raises
    ------
    UserError : the weights are missing or not of facetell; the folder cannot be written.
    """
    if Path(folder).is_file():
        raise UserError(f"{printable(folder)} is a file: name a folder")
    text = model_card(facts_of(weights), repo=repo or Path(folder).as_posix(), licence=licence)
    return hub.write_folder(folder, weights, text)


def _read(path: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    return None
