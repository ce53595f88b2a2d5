# SPDX-License-Identifier: Apache-2.0
"""The JSON API: the same verdicts as in Python, every error as documented, nothing given away."""

import asyncio
import base64
import io
import struct
import tempfile
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut
from starlette.testclient import TestClient
from support import encoded
from support.serving import PHOTO, client, photo, weights

from facetell import Detector as Judge
from facetell.app.serve.api import Desk, application
from facetell.app.serve.limits import Limits
from facetell.app.serve.models import Models
from facetell.app.serve.refusals import STATUS, Code
from facetell.common.errors import UserError
from facetell.evaluation.perturbations import PERTURBATIONS
from facetell.explain import explain
from facetell.images.decoding import decode
from facetell.images.faces import aligned_faces
from facetell.images.loading import fit, to_unit
from facetell.models.detector import Detector


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    home = tmp_path_factory.mktemp("secret_place")
    return [weights(home, "first"), weights(home, "second", size=80)]


@pytest.fixture(scope="module")
def server(files: list[Path]) -> Iterator[TestClient]:
    with client(files) as found:
        yield found


def ask(server, path, *photos, **fields):
    sent = [("photo", ("secret name.jpg", data, "image/jpeg")) for data in photos or (PHOTO,)]
    return server.post(f"/api/v1/{path}", files=sent, data=fields)


def refused(answer, code):
    assert answer.status_code == STATUS[code], answer.text
    assert set(answer.json()) == {"code", "sentence"}
    assert answer.json()["code"] == code
    return answer.json()["sentence"]


def pixels_of(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


# ---------------------------------------------------------------- what is answered


def test_verdicts_are_those_of_python(server, files):
    second = encoded(photo((120, 70), seed=1), "PNG")
    answer = ask(server, "predict", PHOTO, second, models=["second", "first", "second"])
    assert answer.status_code == 200
    found = answer.json()["photos"]
    assert [(one["width"], one["height"]) for one in found] == [(96, 96), (120, 70)]
    for data, one in zip((PHOTO, second), found, strict=True):
        (face,) = one["faces"]
        assert face["box"] is None
        assert [said["model"] for said in face["models"]] == ["second", "first"]
        for said, path in zip(face["models"], reversed(files), strict=True):
            (expected,) = Judge.load(path).predict(data)
            assert said["margin"] == pytest.approx(expected.margin, abs=1e-5)
            assert said["score"] == pytest.approx(expected.score, abs=1e-6)
            assert said["probability"] == pytest.approx(expected.probability, abs=1e-6)
            assert said["threshold"] == pytest.approx(expected.threshold)
            assert (said["verdict"], said["unlike"]) == (expected.verdict, list(expected.unlike))
    assert len(found[1]["faces"][0]["models"][0]["unlike"]) == 2  # too small, cut off
    assert "no proof" in answer.json()["note"]


def test_without_a_name_the_first_model_answers(server):
    (said,) = ask(server, "predict").json()["photos"][0]["faces"][0]["models"]
    assert said["model"] == "first"


def test_changes_are_those_of_the_robustness_suite_in_a_fixed_order(server, files):
    levels = {"jpeg": 30, "blur": 1.5, "crop": 160, "brightness": 0.7}
    answer = ask(server, "explain", **levels).json()
    (said,) = answer["faces"][0]["models"]
    images = to_unit(fit(decode(PHOTO), 64)[None], torch.device("cpu"))
    settings = (
        ("crop", "pixels"),
        ("brightness", "factor"),
        ("blur", "sigma"),
        ("jpeg", "quality"),
    )
    for name, setting in settings:
        images = PERTURBATIONS[name].function(images, ["any"], **{setting: levels[name]})
    detector = Detector.load(files[0])
    assert said["margin"] == pytest.approx(float(explain(detector, images).margin[0]), abs=1e-5)
    expected = images[0].mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(pixels_of(answer["faces"][0]["seen"]["64"]), expected)


def test_what_was_seen_can_be_sent_instead_of_the_photo(server):
    large = encoded(photo((300, 200)), "PNG")
    first = ask(server, "explain", large, models=["first", "second"]).json()["faces"][0]
    assert set(first["seen"]) == {"64", "80"}
    for said in first["models"]:
        uri = first["seen"][str(said["image_size"])]
        small = base64.b64decode(uri.partition(",")[2])
        again = ask(server, "explain", small, models=said["model"]).json()["faces"][0]["models"][0]
        assert again["margin"] == said["margin"]
        assert again["map"] == said["map"]


def test_maps_are_pictures_or_say_why_there_is_none(server):
    (said,) = ask(server, "explain", method="layercam", layer="conv2").json()["faces"][0]["models"]
    assert (said["map"]["title"], said["map"]["layer"]) == ("LayerCAM", "conv2")
    assert pixels_of(said["map"]["picture"]).shape == (64, 64, 3)
    (said,) = ask(server, "explain", layer="nowhere").json()["faces"][0]["models"]
    assert said["map"]["picture"] is None
    assert "nowhere" in said["map"]["status"]
    assert 0 < said["score"] < 1


def test_the_sheet_is_a_figure_without_metadata(server):
    plain = ask(server, "sheet", models=["first", "second"])
    assert plain.headers["content-type"] == "image/png"
    changed = ask(server, "sheet", models=["first", "second"], blur=2)
    sizes = [Image.open(io.BytesIO(one.content)).size for one in (plain, changed)]
    assert sizes[0][0] == sizes[1][0]
    assert sizes[1][1] > 1.3 * sizes[0][1]
    assert not Image.open(io.BytesIO(plain.content)).info.keys() & {"Software", "exif"}
    refused(ask(server, "sheet", face=1), Code.NO_FACE)


def test_the_service_says_what_it_has(server):
    found = server.get("/api/v1/models").json()
    assert [(one["name"], one["image_size"]) for one in found["models"]] == [
        ("first", 64), ("second", 80),
    ]  # fmt: skip
    assert {"gradcam", "saliency"} <= {one["name"] for one in found["methods"]}
    assert found["limits"]["photos"] == 8
    health = server.get("/healthz").json()
    assert health["status"] == "ok"
    assert health["memory_mb"] > 0


def test_faces_are_found_and_judged_one_by_one(server, files):
    half = astronaut()
    pixels = np.concatenate([half, half[:, ::-1]], axis=1)
    sent = encoded(Image.fromarray(pixels), "PNG")
    faces = ask(server, "explain", sent, find_faces=True).json()["faces"]
    assert len(faces) == 2
    lefts = sorted(face["box"]["left"] for face in faces)
    assert 150 < lefts[0] < 300 < 700 < lefts[1] < 900
    expected = Judge.load(files[0]).predict(aligned_faces(pixels)[0].pixels)[0]
    (said,) = faces[0]["models"]
    assert said["margin"] == pytest.approx(expected.margin, abs=1e-4)
    assert "how faces lie" in said["unlike"][-1]
    small = base64.b64decode(faces[1]["seen"][faces[1]["models"][0]["view"]].partition(",")[2])
    again = ask(server, "explain", small).json()["faces"][0]["models"][0]
    assert again["margin"] == faces[1]["models"][0]["margin"]
    assert ask(server, "sheet", sent, find_faces=True, face=1).status_code == 200
    refused(ask(server, "predict", find_faces=True), Code.NO_FACE)


# ---------------------------------------------------------------- what is refused


def bomb() -> bytes:
    """A PNG of 30,000 x 30,000 grey pixels, of which the first rows are there."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(30_001) * 100, 1)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


NOT_IMAGES = {
    "empty": b"",
    "words": b"hello",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "html": b"<!doctype html><img src=x onerror=alert(1)>",
    "pdf": b"%PDF-1.7",
    "zip": b"PK\3\4" + bytes(100),
}


@pytest.mark.parametrize("data", NOT_IMAGES.values(), ids=NOT_IMAGES)
@pytest.mark.parametrize("path", ["predict", "explain", "sheet"])
def test_what_is_no_image_is_refused(server, path, data):
    assert "JPEG" in refused(ask(server, path, data), Code.NOT_AN_IMAGE)


def test_broken_tiny_and_huge_photos_are_refused(server):
    refused(ask(server, "predict", PHOTO[: len(PHOTO) // 2]), Code.UNUSABLE_PHOTO)
    refused(ask(server, "predict", encoded(photo((15, 40)))), Code.UNUSABLE_PHOTO)
    assert "25 megapixels" in refused(ask(server, "predict", bomb()), Code.TOO_MANY_PIXELS)
    said = refused(ask(server, "predict", PHOTO, b"hello"), Code.NOT_AN_IMAGE)
    assert said.startswith("Photo 2 ")


WRONG = [
    {"blur": "nan"}, {"blur": "inf"}, {"blur": "-1"}, {"blur": "0"}, {"blur": "31"}, {"jpeg": "0"},
    {"jpeg": "50.5"}, {"jpeg": "1e9999"}, {"crop": "225"}, {"brightness": "NaN"}, {"blur": ""},
    {"blur": ["1", "2"]}, {"method": "lime"}, {"method": "smoothgrad"}, {"unknown": "1"},
    {"find_faces": "perhaps"}, {"layer": ""}, {"layer": "x" * 201}, {"models": ["a"] * 17},
    {"models": ""},
]  # fmt: skip


@pytest.mark.parametrize("fields", WRONG, ids=str)
def test_wrong_fields_are_refused(server, fields):
    assert len(refused(ask(server, "explain", **fields), Code.INVALID)) < 400


NAMES = ["../first", "/etc/passwd", "first.safetensors", "FIRST", "<script>", "%00", "..\\first"]


@pytest.mark.parametrize("name", NAMES)
def test_models_are_only_those_that_are_served(server, name):
    said = refused(ask(server, "predict", models=name), Code.UNKNOWN_MODEL)
    assert "secret_place" not in said


def test_forms_that_are_none_are_refused(server):
    post = server.post
    refused(post("/api/v1/predict", content=PHOTO), Code.NOT_MULTIPART)
    refused(post("/api/v1/predict", json={"photo": "x"}), Code.NOT_MULTIPART)
    refused(post("/api/v1/predict", data={"photo": "x"}), Code.NOT_MULTIPART)
    kind = {"content-type": "multipart/form-data"}
    refused(post("/api/v1/predict", content=b"", headers=kind), Code.MALFORMED)
    kind = {"content-type": "multipart/form-data; boundary=b"}
    begun = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n' + PHOTO
    for content in (
        b"",
        b"x",
        begun,
        b"--b\r\nno header\r\n\r\n",
        b"--b\r\nA: b\r\n\r\nx\r\n--b--",
    ):
        refused(post("/api/v1/predict", content=content, headers=kind), Code.MALFORMED)
    refused(post("/api/v1/explain", data={"blur": "1"}, files={"other": b"x"}), Code.INVALID)
    refused(ask(server, "explain", PHOTO, PHOTO), Code.INVALID)


def test_places_and_methods_that_there_are_not(server):
    for path in ("/nowhere", "/api/v1", "/docs", "/redoc", "/../etc/passwd", "/style.css/"):
        refused(server.get(path), Code.NOT_FOUND)
    answer = server.get("/api/v1/predict")
    refused(answer, Code.METHOD_NOT_ALLOWED)
    assert answer.headers["allow"] == "POST"
    refused(server.delete("/healthz"), Code.METHOD_NOT_ALLOWED)


def test_many_photos_and_many_bytes_are_refused(files):
    with client(files, Limits(photos=2, upload_mb=0.1)) as server:
        refused(ask(server, "predict", PHOTO, PHOTO, PHOTO), Code.TOO_MANY_PHOTOS)
        said = refused(ask(server, "predict", bytes(200_000)), Code.TOO_LARGE)
        assert "0.1 MB" in said

        def pieces():
            yield b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
            for _ in range(50):
                yield bytes(10_000)

        kind = {"content-type": "multipart/form-data; boundary=b"}  # and no content-length
        refused(server.post("/api/v1/predict", content=pieces(), headers=kind), Code.TOO_LARGE)
        many = {f"field{number}": "x" for number in range(100)}
        refused(ask(server, "predict", **many), Code.INVALID)
        assert ask(server, "predict").status_code == 200


# ---------------------------------------------------------------- queue and time


def stopped(server: TestClient) -> tuple[Desk, threading.Event]:
    """The desk of a server whose computing thread waits for the event."""
    desk, event = server.app.state.desk, threading.Event()
    desk.worker.submit(lambda job: event.wait(30))
    return desk, event


def test_a_full_queue_is_said_and_when_to_come_again(files):
    with client(files, Limits(queue=1)) as server:
        while server.app.state.desk.worker.waiting:  # the first model is being loaded
            pass
        _, event = stopped(server)
        answer = ask(server, "predict")
        refused(answer, Code.QUEUE_FULL)
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        event.set()


def test_a_late_answer_is_given_up(files):
    with client(files, Limits(seconds=0.2)) as server:
        desk, event = stopped(server)
        answer = ask(server, "predict")
        refused(answer, Code.TIMEOUT)
        assert int(answer.headers["retry-after"]) >= 1
        event.set()
        assert desk.worker.submit(lambda job: desk.worker.waiting).result.result() == 1


def test_too_many_uploads_are_refused(files):
    with client(files, Limits(uploads=1)) as server:
        server.app.state.desk.uploads = 1
        answer = ask(server, "predict")
        refused(answer, Code.BUSY)
        assert answer.headers["retry-after"] == "1"


def test_what_nobody_waits_for_is_let_go(files):
    limits = Limits()
    desk = Desk(limits, Models(files, limits.memory_bytes))
    event = threading.Event()
    desk.worker.submit(lambda job: event.wait(30))
    done = []
    job = desk.worker.submit(lambda job: done.append(1))
    job.give_up()
    event.set()
    desk.worker.submit(lambda job: None).result.result()
    assert done == []
    assert job.result.cancelled()
    desk.worker.close()


def test_a_slow_upload_is_cut_off(files):
    limits = Limits(upload_seconds=0.2)
    app = application(Models(files, limits.memory_bytes), limits)

    async def slowly():
        yield b"--b\r\n"
        await asyncio.sleep(5)
        yield b"x"

    async def send():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as found:
            kind = {"content-type": "multipart/form-data; boundary=b"}
            return await found.post("/api/v1/predict", content=slowly(), headers=kind)

    refused(asyncio.run(send()), Code.SLOW_UPLOAD)


# ---------------------------------------------------------------- memory


def test_models_are_put_away_when_memory_is_short(tmp_path, files):
    files = [*files, weights(tmp_path, "third")]
    sizes = Models(files, 2**30)
    for name in sizes.known:
        sizes.get(name)
    assert list(sizes.sizes) == ["first", "second", "third"]
    all_of_them = sizes.used
    models = Models(files, all_of_them - 1)
    for name in ("first", "second", "first", "third"):
        models.get(name)
        assert models.used <= models.memory
    assert "second" not in models.sizes
    assert "third" in models.sizes
    assert all_of_them > sum(sizes.sizes.values())  # what a pass keeps counts, too


def test_a_model_beyond_the_memory_is_refused(files):
    size = files[0].stat().st_size
    with pytest.raises(UserError, match="larger than"):
        Models(files, size - 1)
    with client(files[:1], Limits(memory_mb=(size + 1) / 2**20)) as server:
        said = refused(ask(server, "predict"), Code.NO_MEMORY)
        assert "first needs" in said


def test_models_that_cannot_be_served_are_named(tmp_path, files):
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match="two models are called first"):
        Models([files[0], weights(tmp_path / "other", "first")], 2**30)
    with pytest.raises(UserError, match="missing"):
        Models([tmp_path / "none.safetensors"], 2**30)
    with pytest.raises(UserError, match="--seconds must be greater than 0"):
        Limits(seconds=float("nan"))


# ---------------------------------------------------------------- what is given away


def test_nothing_of_a_photo_or_of_the_machine_is_written_or_said(
    files, monkeypatch, capfd, tmp_path
):
    noise = np.random.default_rng(0).integers(0, 255, (1200, 1200, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x010E] = "secret words"
    large = encoded(Image.fromarray(noise), "JPEG", quality=97, exif=exif)
    assert len(large) > 2**20
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(files[0].read_bytes()[:-100_000])
    with client(files) as server, monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))  # a file would be an error
        server.app.state.desk.models.known["second"].__dict__["path"] = damaged
        answers = [
            ask(server, "predict", large),
            ask(server, "explain", large),
            ask(server, "sheet", large),
            ask(server, "predict", models="second"),
            ask(server, "predict", b"secret words"),
            server.get("/api/v1/models"),
            server.get("/api/v1/openapi.json"),
        ]
    assert [one.status_code for one in answers] == [200, 200, 200, 503, 415, 200, 200]
    everything = b"".join(one.content for one in answers)
    for word in (b"secret", str(tmp_path).encode(), b"/usr", b"site-packages"):
        assert word not in everything
    for uri in answers[1].json()["faces"][0]["seen"].values():
        assert not Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).info
    said = capfd.readouterr()
    assert "secret words" not in said.out + said.err
    assert "secret name" not in said.out + said.err
    assert "damaged.safetensors" in said.err  # whoever runs the server is told


def test_a_fault_is_said_without_values(files, monkeypatch, capfd):
    def fails(*_):
        raise ValueError(" ".join(["secret", "words"]))

    monkeypatch.setattr("facetell.app.serve.judging.see", fails)
    with client(files) as server:
        said = refused(ask(server, "predict"), Code.INTERNAL)
    assert "log" in said
    written = capfd.readouterr().err
    assert "ValueError" in written
    assert "judging.py" in written
    assert "secret words" not in written


@pytest.mark.parametrize("path", ["/", "/style.css", "/script.js", "/api", "/nowhere", "/healthz"])
def test_every_answer_has_strict_headers(server, path):
    headers = server.get(path, headers={"Range": "bytes=0-10", "Origin": "null"}).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "camera=()" in headers["permissions-policy"]
    assert "access-control-allow-origin" not in headers
    assert "content-range" not in headers
    assert "server" not in headers


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "evil.example:80", "["])
def test_names_that_are_not_ours_are_refused(server, host):
    refused(server.get("/healthz", headers={"Host": host}), Code.WRONG_HOST)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:81"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_pages_may_not_use_it(server, headers):
    answer = server.post("/api/v1/predict", files={"photo": PHOTO}, headers=headers)
    refused(answer, Code.FOREIGN_ORIGIN)
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert server.post("/api/v1/predict", files={"photo": PHOTO}, headers=own).status_code == 200


def test_the_page_about_the_api_has_every_route_and_code(server):
    said = server.get("/api").text
    for path, by in server.get("/api/v1/openapi.json").json()["paths"].items():
        assert path in said
        for one in by.values():
            for status, answer in one["responses"].items():
                assert status == "200" or answer["description"] in said
    for code in set(Code) - {Code.METHOD_NOT_ALLOWED}:
        assert code in said
