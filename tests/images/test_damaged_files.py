# SPDX-License-Identifier: Apache-2.0
"""Damaged, odd and hostile files: the very pixels of the intact image, or a reason in one line.

Each kind goes the two ways that a user's file takes: through ``look_at`` of the split stage, and
through the reading of ``facetell explain``.
"""

import io
import re
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support import encoded, write_zip

from facetell.common.errors import UserError
from facetell.dataset.inspection import look_at
from facetell.images.decoding import Unusable, decode, decode_inspected, inspect
from facetell.images.jpeg_damage import HARMLESS, damage, warning
from facetell.images.opening import open_archive
from facetell.images.photos import read_photo

END = b"\xff\xd9"
Kind = tuple[bytes, str, bytes | None]  # the file; what the reason says, or the intact file


def photo(seed: int = 1, noise: float = 8) -> Image.Image:
    """Smooth shapes with grain."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 255, (6, 6, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((96, 80), Image.Resampling.BICUBIC), np.float32)
    pixels = pixels + random.normal(0, noise, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def over(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def scan_of(data: bytes) -> int:
    """Where the entropy-coded bytes of a JPEG's first scan begin."""
    at = data.index(b"\xff\xda")
    return at + 2 + int.from_bytes(data[at + 2 : at + 4])


def segment(kind: int, body: bytes) -> bytes:
    return bytes([0xFF, kind]) + (len(body) + 2).to_bytes(2) + body


def chunk(kind: bytes, body: bytes, checksum: bytes | None = None) -> bytes:
    good = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + (good if checksum is None else checksum)


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def png(parts: list[bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def header(width: int, height: int, *rest: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">II5B", width, height, *(rest or (8, 2, 0, 0, 0))))


def jpegs() -> dict[str, Kind]:
    image = photo()
    data = encoded(image, "JPEG", quality=90)
    start, middle, body = scan_of(data), (scan_of(data) + len(data)) // 2, data[2:]
    table = data.index(b"\xff\xdb")
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "a maker", "a camera"
    camera = encoded(image, "JPEG", quality=90, exif=exif)
    at = camera.index(b"Exif\0\0") + 6
    restarts = encoded(image, "JPEG", quality=90, restart_marker_rows=1)
    first = restarts.index(b"\xff\xd0", scan_of(restarts))
    waves = encoded(image, "JPEG", quality=90, progressive=True)
    grey = encoded(image.convert("L"), "JPEG", quality=90)
    cmyk = encoded(image.convert("CMYK"), "JPEG", quality=90, subsampling=0)
    mpo = encoded(image, "MPO", quality=90, save_all=True, append_images=[photo(2)])
    junk = np.random.default_rng(3).bytes(40).replace(b"\xff", b"\0")
    return {
        # the pixels are whole
        "stray_zeros": (data[:-2] + bytes(9) + END, "", data),
        "stray_many_zeros": (data[:-2] + bytes(2000) + END, "", data),
        "stray_bytes": (data[:-2] + junk + END, "", data),
        "stray_words": (data[:-2] + b"a camera's own words, not data" + END, "", data),
        "stray_grey": (grey[:-2] + junk + END, "", grey),
        "stray_cmyk": (cmyk[:-2] + junk + END, "", cmyk),
        "stray_restarts": (restarts[:-2] + junk + END, "", restarts),
        "stray_progressive": (waves[:-2] + bytes(12) + END, "", waves),
        "stray_filling": (data[:-2] + b"\xff\xff\xff" + END, "", data),
        "stray_in_header": (data[:table] + b"\0\0\0" + data[table:], "", data),
        "after_the_end": (data + b"<!-- by a server -->" + data, "", data),
        "jfif_version": (over(data, data.index(b"JFIF\0") + 5, b"\x07"), "", data),
        "scan_parameters": (over(data, start - 3, b"\0\0\0"), "", data),
        "stray_and_more": (over(data[:-2], start - 3, b"\0\0\0") + bytes(9) + END, "", data),
        "exif_zeroed": (over(camera, at, bytes(20)), "", data),
        "exif_endless": (over(camera, at + 8, b"\xff\xff"), "", data),
        "app_segments": (
            data[:2] + b"".join(segment(kind, junk) for kind in range(0xE1, 0xEE)) + body, "", data
        ),
        "icc_damaged": (data[:2] + segment(0xE2, b"ICC_PROFILE\0\x01\x09junk") + body, "", data),
        "photoshop_damaged": (
            data[:2] + segment(0xED, b"Photoshop 3.0\08BIM\x04\x04\0\0\xff") + body, "", data
        ),
        "mpf_damaged": (data[:2] + segment(0xE2, b"MPF\0II*\0\x08\0\0\0junk") + body, "", data),
        "comment": (data[:2] + segment(0xFE, b"\xff\x00\x80 \x1b[31m") + body, "", data),
        "two_pictures": (mpo, "", encoded(image, "JPEG", quality=90)),
        "two_pictures_cut": (mpo[:-500], "", encoded(image, "JPEG", quality=90)),
        # as in films of cameras: the tables of the standard are meant
        "without_tables": (
            data[: data.index(b"\xff\xc4")] + data[data.index(b"\xff\xda") :], "", data
        ),
        # the decoder makes some up
        "zeroed": (over(data, middle, bytes(400)), "broken", None),
        "zeroed_to_the_end": (over(data, len(data) - 402, bytes(400)), "broken", None),
        "cut_and_closed": (data[:middle] + END, "broken: .*premature end", None),
        "cut": (data[:middle], "broken: .*truncated", None),
        "without_end": (data[:-2], "broken", None),
        "grey_cut_and_closed": (grey[: len(grey) // 2] + END, "broken", None),
        "cmyk_cut_and_closed": (cmyk[: len(cmyk) // 2] + END, "broken", None),
        "progressive_cut_and_closed": (waves[: len(waves) * 2 // 3] + END, "broken", None),
        "bytes_lost": (data[:middle] + data[middle + 300 :], "broken", None),
        "restart_lost": (restarts[:first] + restarts[first + 2 :], "broken", None),
        "restart_wrong": (over(restarts, first, b"\xff\xd5"), "broken", None),
        "marker_in_scan": (over(data, middle, b"\xff\xe5\x00\x20"), "broken", None),
        "quantisation_shifted": (data[: table + 9] + b"\x0d" + data[table + 9 :], "broken", None),
        "mpo_cut_and_closed": (mpo[:middle] + END, "broken", None),
        "twelve_bits": (over(data, data.index(b"\xff\xc0") + 4, b"\x0c"), "not an image", None),
        "header_only": (data[:start], "broken", None),
        "claims_more_rows": (
            over(data, data.index(b"\xff\xc0") + 5, struct.pack(">H", 800)), "broken", None
        ),
        "bomb": (
            over(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", 60000, 60000)), "too large",
            None,
        ),
        "no_size": (over(data, data.index(b"\xff\xc0") + 5, bytes(4)), "too small|not an", None),
    }  # fmt: skip


def pngs() -> dict[str, Kind]:
    image = photo()
    data = encoded(image)
    parts = [chunk(kind, body) for kind, body in chunks(data)]
    rows = zlib.decompress(b"".join(body for kind, body in chunks(data) if kind == b"IDAT"))
    first, *others = parts
    text = chunk(b"tEXt", b"Comment\0hello", b"\0\0\0\0")
    palette = encoded(image.quantize(64))
    colours = dict(chunks(palette))[b"PLTE"]
    stored = encoded(image, compress_level=0)
    wide = [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]

    def extra(kind: bytes, body: bytes) -> Kind:
        return png([first, chunk(kind, body), *others]), "", data

    return {
        "text_checksum": (png([first, text, *others]), "", data),
        "text_checksum_at_end": (png([*parts[:-1], text, parts[-1]]), "", data),
        "text_bomb": extra(b"zTXt", b"x\0\0" + zlib.compress(bytes(10**7))),
        "profile_garbage": extra(b"iCCP", b"x\0\0garbage"),
        "exif_garbage": extra(b"eXIf", b"garbage"),
        "exif_cut": extra(b"eXIf", b"II*\0\xff\xff\xff\xff"),
        "gamma_short": extra(b"gAMA", b"\0"),
        "without_iend": (data[:-12], "", data),
        "after_iend": (data + b"more", "", data),
        "pixel_flipped": (over(stored, 5000, bytes([stored[5000] ^ 255])), "broken", None),
        "pixel_checksum": (
            png([first, chunk(b"IDAT", zlib.compress(rows)[:-1] + b"\0"), parts[-1]]),
            "broken", None,
        ),
        "cut_png": (data[: len(data) // 2], "broken: .*truncated", None),
        "rows_missing": (
            png([first, chunk(b"IDAT", zlib.compress(rows[: len(rows) // 2])), parts[-1]]),
            "broken: rows are missing", None,
        ),
        "last_row_missing": (
            png([first, chunk(b"IDAT", zlib.compress(rows[:-289])), parts[-1]]), "broken", None
        ),
        "stream_cut_and_closed": (
            png([first, chunk(b"IDAT", zlib.compress(rows)[:5000]), parts[-1]]), "broken", None
        ),
        "no_pixels": (png([first, parts[-1]]), "broken", None),
        "header_checksum": (over(data, 29, bytes(4)), r"not an image.*\(begins as PNG", None),
        "palette_missing": (
            png([chunk(k, b) for k, b in chunks(palette) if k != b"PLTE"]), "broken: .*palette",
            None,
        ),
        "palette_short": (
            png([chunk(k, b[:30] if k == b"PLTE" else b) for k, b in chunks(palette)]),
            "broken: .*palette", None,
        ),
        "palette_checksum": (
            palette.replace(chunk(b"PLTE", colours), chunk(b"PLTE", colours, b"\0" * 4)),
            "not an image", None,
        ),
        "png_bomb": (png([header(30_000, 30_000), *wide]), "too large", None),
        "png_no_size": (png([header(0, 0), *wide]), "too small|not an image", None),
        "png_odd_depth": (png([header(96, 80, 7, 2, 0, 0, 0), *wide]), "not an image|broken", None),
    }  # fmt: skip


def others() -> dict[str, Kind]:
    image = photo()
    gif, bmp = encoded(image, "GIF"), encoded(image, "BMP")
    webp = encoded(image, "WEBP", lossless=True)
    tiff = encoded(image, "TIFF")
    deflated = encoded(image, "TIFF", compression="tiff_adobe_deflate")
    inside = encoded(image, "TIFF", compression="jpeg")
    film = {kind: encoded(image, kind, save_all=True, append_images=[photo(2)], lossless=True)
            for kind in ("GIF", "PNG", "WEBP")}  # fmt: skip
    half = webp[: len(webp) // 4 * 2]
    closed = half[:4] + struct.pack("<I", len(half) - 8) + half[8:16]
    closed += struct.pack("<I", len(half) - 20) + half[20:]
    return {
        "gif_without_trailer": (gif[:-1], "", gif),
        "gif_cut": (gif[: len(gif) // 2], "broken", None),
        "gif_cut_and_closed": (gif[: len(gif) // 2] + b"\0;", "broken", None),
        "bmp_cut": (bmp[:-1], "broken", None),
        "bmp_rows": (over(bmp, 22, struct.pack("<i", 900)), "broken", None),
        "webp_after": (webp + b"more", "", webp),
        "webp_cut": (webp[:-20], r"not an image.*\(begins as WebP", None),
        "webp_cut_and_closed": (closed, "broken|not an image", None),
        "tiff_cut": (tiff[:-9], "broken|not an image", None),
        "tiff_index": (over(tiff, 4, struct.pack("<I", 10**6)), "not an image", None),
        "tiff_deflated": (over(deflated, len(deflated) // 3, bytes(200)), "broken", None),
        "tiff_jpeg": (over(inside, len(inside) // 3, bytes(200)), "broken", None),
        "film.gif": (film["GIF"], "", gif),
        "film.png": (film["PNG"], "", encoded(image)),
        "film.webp": (film["WEBP"], "", webp),
        "empty": (b"", "empty file", None),
        "one_byte": (b"\xff", "not an image", None),
        "small": (encoded(image.resize((8, 8))), "too small", None),
        "html": (b"\n<!DOCTYPE html><html>no</html>", "not an image.*HTML", None),
        "svg": (b'<?xml version="1.0"?><svg width="64"/>', "not an image.*SVG", None),
        "pdf": (b"%PDF-1.7\n" + bytes(99), "not an image.*PDF", None),
        "heic": (b"\0\0\0\x18ftypheic" + bytes(99), "not an image.*HEIC.*convert", None),
        "avif": (b"\0\0\0\x1cftypavif" + bytes(99), "not an image.*AVIF.*convert", None),
        "zip": (b"PK\3\4" + bytes(99), "not an image.*ZIP", None),
        "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "not an image.*LFS", None),
        "postscript": (b"%!PS-Adobe-3.0 EPSF\n%%BoundingBox: 0 0 99 99\n", "not an image", None),
    }


KINDS = {**jpegs(), **pngs(), **others()}
HERE = "a/{}.jpg"  # the ending says nothing


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(inspect(data)[1])


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, dict[str, str]]:
    raw = tmp_path_factory.mktemp("raw")
    (raw / "odd").mkdir()
    write_zip(raw / "odd/odd.zip", {HERE.format(name): data for name, (data, *_) in KINDS.items()})
    rows = pd.DataFrame({"path": [HERE.format(name) for name in KINDS]})
    rows = rows.assign(set="odd", id=rows["path"], platform="presocial", laundered=False)
    found = look_at(rows, {"odd": raw / "odd"})
    assert len(found.table) + len(found.aside) == len(KINDS)
    return found.table.set_index("path"), dict(found.aside[["path", "reason"]].to_numpy())


def test_there_are_many_kinds():
    assert len(KINDS) >= 90


@pytest.mark.parametrize("name", KINDS)
def test_pixels_are_those_of_the_intact_image_or_there_is_a_reason(name, looked, tmp_path):
    data, says, intact = KINDS[name]
    path = tmp_path / "face.jpg"
    path.write_bytes(data)
    table, aside = looked
    if intact is None:
        for function in (inspect, decode):
            with pytest.raises(Unusable, match=rf"^({says})"):
                function(data)
        reason = aside[HERE.format(name)]
        with pytest.raises(UserError) as error:
            read_photo(path)
        assert f"{path} cannot be used: {reason}; give a whole" in str(error.value)
        assert "\n" not in str(error.value)
        assert reason.isprintable()
        return
    expected = np.asarray(Image.open(io.BytesIO(intact)).convert("RGB"))
    for found in (pixels_of(data), decode(data), decode_inspected(data)):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(read_photo(path).pixels, expected)
    assert table.loc[HERE.format(name), "width"] == 96


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stray_zeros", "extraneous bytes before marker 0xd9"),
        ("stray_in_header", "extraneous bytes before marker 0xdb"),
        ("jfif_version", "unknown JFIF revision"),
        ("scan_parameters", "Invalid SOS parameters"),
    ],
)
def test_these_warnings_do_not_touch_the_pixels(name, said):
    assert said in warning(KINDS[name][0])
    assert HARMLESS.search(warning(KINDS[name][0]))


def ways(data: bytes, random: np.random.Generator) -> Iterator[bytes]:
    """A JPEG with some of its coded bytes zeroed, overwritten or lost."""
    start = scan_of(data)
    at = int(random.integers(start, len(data) - 460))
    yield over(data, at, bytes(400))
    yield over(data, at, bytes(30))
    yield over(data, at, random.bytes(30).replace(b"\xff", b"\xfe"))
    yield data[:at] + data[at + 50 :]


def test_a_decoder_that_went_astray_is_found_though_it_only_complains_of_stray_bytes():
    """About half of damaged scans end in just the warning that stray bytes give, too."""
    random = np.random.default_rng(0)
    astray, accepted = 0, 0
    for seed in range(40):
        options = {"quality": (75, 90, 96)[seed % 3], "subsampling": (0, 2)[seed % 2]}
        options |= {"optimize": seed % 4 == 1}
        data = encoded(photo(seed, noise=(3, 8, 20)[seed % 3]), "JPEG", **options)
        for damaged in ways(data, random):
            if "before marker 0xd9" in warning(damaged):
                astray += 1
                accepted += not damage(damaged)
    assert astray > 40
    assert accepted <= 0.05 * astray


def test_stray_bytes_of_all_kinds_are_taken_for_what_they_are():
    random = np.random.default_rng(0)
    refused, number = 0, 0
    for seed in range(25):
        data = encoded(photo(seed), "JPEG", quality=(60, 85, 95)[seed % 3])
        for length in (3, 10, 40, 400):
            junk = random.bytes(length).replace(b"\xff", b"\xfe")
            number += 1
            refused += bool(damage(data[:-2] + junk + END))
    assert refused <= 0.05 * number


@pytest.mark.parametrize("make", [lambda: encoded(photo(), "JPEG"), lambda: encoded(photo())])
def test_what_surrounds_the_pixels_may_be_anything(make: Callable[[], bytes]):
    """Random changes within metadata never make an image unusable or change its pixels."""
    random = np.random.default_rng(0)
    data = make()
    exif = Image.Exif()
    exif[0x010F], exif[0x0132], exif[0x8769] = "maker", "2020:01:01 00:00:00", {0x9003: "2020"}
    block = exif.tobytes()
    expected = pixels_of(data)
    for _ in range(60):
        changed = bytearray(block)
        for at in random.integers(6, len(block), size=random.integers(1, 9)):
            changed[at] = random.integers(256)
        if data[:2] == b"\xff\xd8":
            whole = data[:2] + segment(0xE1, bytes(changed)) + data[2:]
        else:
            whole = data[:33] + chunk(b"eXIf", bytes(changed[6:])) + data[33:]
        np.testing.assert_array_equal(pixels_of(whole), expected)
        np.testing.assert_array_equal(decode(whole), expected)


def test_a_set_keeps_a_file_that_its_ending_belies(tmp_path):
    (tmp_path / "odd").mkdir()
    write_zip(tmp_path / "odd/odd.zip", {"real/a.png": KINDS["stray_zeros"][0]})
    with open_archive(tmp_path / "odd") as archive:
        assert inspect(archive.read("real/a.png"))[0].format == "JPEG"


def test_an_explained_photo_needs_no_ending(tmp_path: Path):
    path = tmp_path / "face"
    path.write_bytes(encoded(photo(), "JPEG"))
    assert read_photo(path).pixels.shape == (80, 96, 3)


def tiff(strip: bytes, copies: int = 1, side: int = 32) -> bytes:
    """A grey deflated TIFF, ``side`` px, whose strips all have the same place in the file."""
    header, entries = 8, 9
    lists = header + 2 + entries * 12 + 4
    start = lists + 8 * copies
    place = [start, len(strip)] if copies == 1 else [lists, lists + 4 * copies]
    tags = [
        (256, 1, side), (257, 1, side), (258, 1, 8), (259, 1, 8), (262, 1, 1),
        (273, copies, place[0]), (277, 1, 1), (278, 1, side), (279, copies, place[1]),
    ]  # fmt: skip
    table = b"".join(struct.pack("<HHII", tag, 4, count, value) for tag, count, value in tags)
    many = struct.pack(f"<{copies}I", *[start] * copies)
    many += struct.pack(f"<{copies}I", *[len(strip)] * copies)
    return struct.pack("<2sHIH", b"II", 42, 8, entries) + table + bytes(4) + many + strip


def test_strips_of_a_tiff_that_stand_for_gigabytes_are_neither_kept_nor_gone_through():
    grey = bytes(range(256)) * 4
    np.testing.assert_array_equal(decode(tiff(zlib.compress(grey)))[..., 0].ravel(), list(grey))
    bomb = tiff(zlib.compress(grey + bytes(60_000_000)))
    tracemalloc.start()
    with pytest.raises(Unusable, match="more than its pixels"):
        decode(bomb)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    with pytest.raises(Unusable, match="lie on each other"):
        decode(tiff(zlib.compress(grey), copies=5_000))


def test_a_jpeg_of_endless_scans_is_refused_before_it_is_decoded():
    """Each scan is a decoding of the whole picture, and may take a few bytes of the file."""
    data = encoded(photo(), "JPEG", progressive=True)
    starts = [at.start() for at in re.finditer(rb"\xff\xda", data)]
    assert 5 < len(starts) < 20
    assert decode(data).shape == (80, 96, 3)
    last = data[starts[-1] : -2]
    with pytest.raises(Unusable, match="more than 100 scans"):
        decode(data[:-2] + 100 * last + END)
