# SPDX-License-Identifier: Apache-2.0
"""What of a photo is judged: the photo itself, or every face in it."""

from dataclasses import dataclass

from facetell.app.serve.answers import Box
from facetell.app.serve.refusals import Code, Refused
from facetell.images.alignment import square_of
from facetell.images.faces import SMALLEST, Face, align, find_faces
from facetell.images.photos import Photo

MOST = 12  # faces of a photo that are judged, the largest


@dataclass(frozen=True)
class Crop:
    """A face of a photo, or the photo itself (None)."""

    photo: Photo
    face: Face | None = None

    @property
    def box(self) -> Box | None:
        """Where the face lies in the photo."""
        if self.face is None:
            return None
        edges = ("left", "top", "right", "bottom")
        return Box(**dict(zip(edges, self.face.box, strict=True)))

    def framed(self, frame: str | None) -> Photo:
        """The face as the training images of a detector have theirs (``Card.frame``)."""
        if self.face is None:
            return self.photo
        return Photo(self.photo.name, align(self.photo.pixels, self.face, frame=frame).pixels)


def crops(photo: Photo, *, find: bool) -> list[Crop]:
    """What is judged, at least one; with ``find`` the faces, the largest first.

    Raises
    ------
    Refused : faces are to be found, and there are none, or none large enough.
    """
    if not find:
        return [Crop(photo)]
    found = [
        face for face in find_faces(photo.pixels) if square_of(face.landmarks).side >= SMALLEST
    ]
    if not found:
        raise Refused(
            Code.NO_FACE,
            f"{photo.name} has no face that is found; crop it, and send it without find_faces.",
        )
    return [Crop(photo, face) for face in found[:MOST]]
