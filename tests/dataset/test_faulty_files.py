# SPDX-License-Identifier: Apache-2.0
"""Damaged images are set aside with a reason and reach no packed file; odd ones are used.

The stages run as in the pipeline, in a workspace of their own, on archives that hold ten images
for each way of being damaged.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support import ROOT, encoded, write_zip

from facetell.common.errors import UserError
from facetell.common.labels import SPLITS
from facetell.dataset.layouts import rows
from facetell.images.archive import LARGEST_ENTRY
from facetell.images.decoding import Unusable, decode, decode_inspected, inspect
from facetell.images.opening import open_archive
from facetell.images.packed import Packed
from pipeline import compose
from pipeline import pack as pack_stage
from pipeline import split as split_stage

EACH = 10  # images for each way
GOOD = {"train": 60, "valid": 20, "test": 20}  # per class
PLACES = [f"{split}/{kind}" for split in SPLITS for kind in ("real", "fake")]

Way = tuple[Callable[[int], bytes], str]  # the bytes from a seed, and what the reason says


def photo(seed: int, size: tuple[int, int] = (96, 96)) -> Image.Image:
    """Smooth shapes with grain: its JPEG has far more pixels' bytes than header."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.float32)
    pixels = pixels + random.normal(0, 8, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def of(kind: str, seed: int, **options) -> bytes:
    return encoded(photo(seed), kind, **options)


def cut(kind: str, share: float) -> Callable[[int], bytes]:
    """The first part of a file, as a download leaves it that was cut off."""

    def make(seed: int) -> bytes:
        data = of(kind, seed)
        return data[: int(len(data) * share)]

    return make


def overwritten(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def torn(seed: int) -> bytes:
    """A JPEG whose second half is another file's bytes."""
    data = of("JPEG", seed)
    half = len(data) // 2
    return data[:half] + np.random.default_rng(seed).bytes(half)


def header_only(seed: int) -> bytes:
    data = of("JPEG", seed)
    scan = data.index(b"\xff\xda")
    return data[: scan + 2 + int.from_bytes(data[scan + 2 : scan + 4])]


def flipped_png(seed: int) -> bytes:
    data = of("PNG", seed)
    at = len(data) // 2
    return overwritten(data, at, bytes([data[at] ^ 1 << seed % 8]))


def png(header: tuple[int, int, int, int], content: bytes) -> bytes:
    """A PNG from its width, height, bits and type of colour, and its lines before compression."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", *header, 0, 0, 0)),
        (b"IDAT", zlib.compress(content)),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def bomb(side: int) -> bytes:
    """A PNG that claims to be ``side`` px wide and high."""
    return png((side, side, 8, 0), bytes(1000))


NOT_AN_IMAGE = "not an image, or of an unknown format"
WAYS: dict[str, Way] = {
    "empty": (lambda seed: b"", "empty file"),
    "one_byte": (lambda seed: b"\xff", NOT_AN_IMAGE),
    "error_page": (lambda seed: b"<html><body>404 Not Found</body></html>", NOT_AN_IMAGE),
    "json": (lambda seed: b'{"error": "rate limit"}', NOT_AN_IMAGE),
    "svg": (
        lambda seed: b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>',
        NOT_AN_IMAGE,
    ),
    "mac_resource": (lambda seed: b"\0\x05\x16\x07\0\x02\0\0Mac OS X" + bytes(99), NOT_AN_IMAGE),
    "riff_sound": (lambda seed: b"RIFF\x88\0\0\0WAVEfmt " + bytes(128), NOT_AN_IMAGE),
    "heic": (lambda seed: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), NOT_AN_IMAGE),
    "jpeg_10": (cut("JPEG", 0.1), "broken|" + NOT_AN_IMAGE),
    "jpeg_50": (cut("JPEG", 0.5), "broken.*truncated"),
    "jpeg_90": (cut("JPEG", 0.9), "broken.*truncated"),
    "jpeg_header": (header_only, "broken.*truncated"),
    "jpeg_torn": (torn, "broken"),
    "png_flipped": (flipped_png, "broken"),
    "png_50": (cut("PNG", 0.5), "broken.*truncated"),
    "png_bomb": (lambda seed: bomb(30_000), "too large"),
    "png_large": (lambda seed: bomb(9_000), "too large: 9000x9000 px"),
    "too_small": (lambda seed: encoded(photo(seed, (8, 8))), "too small: 8x8 px"),
    "too_wide": (lambda seed: encoded(photo(seed, (5000, 1))), "too small: 5000x1 px"),
    "gif_no_frame": (
        lambda seed: b"GIF89a" + struct.pack("<HHBBB", 64, 64, 0x80, 0, 0) + bytes(6) + b";",
        NOT_AN_IMAGE,
    ),
    "webp_50": (cut("WEBP", 0.5), NOT_AN_IMAGE),
    "bmp_lying": (
        lambda seed: overwritten(of("BMP", seed), 18, struct.pack("<ii", 2000, 2000)),
        "broken.*truncated",
    ),
    "tiff_offset": (
        lambda seed: overwritten(of("TIFF", seed), 4, struct.pack("<I", 10**6)),
        NOT_AN_IMAGE,
    ),
}


def spoilt(data: bytearray, name: str, way: str) -> None:
    """Damage one entry of a zip in place: its bytes, or what the zip says of it."""
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
        info, listing = archive.getinfo(name), archive.start_dir
    local = info.header_offset
    central = data.index(name.encode(), listing) - 46
    body = local + 30 + sum(struct.unpack("<HH", data[local + 26 : local + 30]))
    middle = body + info.compress_size // 2
    if way == "zip_flipped":
        data[middle] ^= 0x10
    elif way == "zip_deflate":
        data[middle : middle + 50] = b"\xff" * 50
    elif way == "zip_password":
        data[local + 6] |= 1
        data[central + 8] |= 1
    elif way == "zip_method":
        data[local + 8 : local + 10] = data[central + 10 : central + 12] = b"\x63\0"
    elif way == "zip_huge":
        data[central + 24 : central + 28] = struct.pack("<I", LARGEST_ENTRY + 1)
    elif way == "zip_offset":
        data[central + 42 : central + 46] = struct.pack("<I", body)
    else:
        raise AssertionError(way)


SPOILT = {  # ways that need the archive: what the reason says
    "zip_flipped": "damaged in the archive: Bad CRC-32",
    "zip_deflate": "damaged in the archive",
    "zip_password": "encrypted: unpack the archive with its password",
    "zip_method": "damaged in the archive.*(compression|not supported)",
    "zip_huge": "too large",
    "zip_offset": "damaged in the archive",
}


def damaged_zip(path: Path) -> Path:
    """200 good images, and ``EACH`` for each way, spread over all splits and classes."""
    good = {
        f"{split}/{kind}/good{index:03d}.jpg": of("JPEG", 1000 * at + index)
        for at, (split, kind) in enumerate(place.split("/") for place in PLACES)
        for index in range(GOOD[split])
    }
    bad, later = {}, {}
    for at, way in enumerate([*WAYS, *SPOILT]):
        for index in range(EACH):
            name = f"{PLACES[(at + index) % len(PLACES)]}/{way}-{index}.jpg"
            seed = 10_000 + 100 * at + index
            if way in WAYS:
                bad[name] = WAYS[way][0](seed)
            else:
                later[name] = of("JPEG", seed)
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("train/real/folder.jpg")
        for name, data in (good | bad | later).items():
            archive.writestr(name, data, zipfile.ZIP_DEFLATED if "deflate" in name else None)
    data = bytearray(path.read_bytes())
    for name in later:
        spoilt(data, name, Path(name).name.split("-")[0])
    path.write_bytes(data)
    return path


def run_stages(home: Path, layout: str) -> tuple[pd.DataFrame, list[str]]:
    """Split and pack what lies in ``home/data/raw``; the images set aside, and all packed ids."""
    with chdir(ROOT):
        compose.compose(home / "params.yaml", [f"data={layout}"])
    with chdir(home):
        split_stage.main()
        pack_stage.main()
    packed = [Packed(home / f"data/packed/{split}") for split in SPLITS]
    return pd.read_csv(home / "metrics/set_aside.csv"), [name for one in packed for name in one.ids]


def raw(home: Path, layout: str) -> Path:
    path = home / f"data/raw/{layout}/{layout}/{layout}.zip"
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, list[str]]:
    home = tmp_path_factory.mktemp("damaged")
    damaged_zip(raw(home, "folder"))
    return run_stages(home, "folder")


def test_where_nothing_is_left_the_list_that_the_error_names_is_there(tmp_path):
    entries = {
        f"{place}/{index}.jpg": b"" if place == "test/fake" else of("JPEG", 100 * at + index)
        for at, place in enumerate(PLACES)
        for index in range(2)
    }
    write_zip(raw(tmp_path, "folder"), entries)
    with pytest.raises(UserError, match=r"no usable fake image .* metrics/set_aside\.csv"):
        run_stages(tmp_path, "folder")
    aside = pd.read_csv(tmp_path / "metrics/set_aside.csv")
    assert aside["path"].tolist() == ["test/fake/0.jpg", "test/fake/1.jpg"]
    assert not (tmp_path / "data/manifest").exists()


def way_of(path: str) -> str:
    return Path(path).name.split("-")[0]


def test_damaged_images_reach_no_packed_file_and_good_ones_do(outcome):
    aside, packed = outcome
    assert len(WAYS) + len(SPOILT) >= 20
    assert [name for name in packed if "/good" not in name] == []
    assert len(packed) == len(set(packed)) == 2 * sum(GOOD.values())
    counts = aside["path"].map(way_of).value_counts().to_dict()
    assert counts == dict.fromkeys([*WAYS, *SPOILT], EACH)


@pytest.mark.parametrize("way", [*WAYS, *SPOILT])
def test_each_damage_is_named(outcome, way):
    aside, _ = outcome
    says = SPOILT[way] if way in SPOILT else WAYS[way][1]
    reasons = aside.loc[aside["path"].map(way_of) == way, "reason"]
    assert reasons.str.match(says).all(), set(reasons)
    assert not reasons.str.contains("\n").any()
    assert reasons.str.len().max() < 200


@pytest.mark.parametrize("way", ["zero", "joined", "newlines", "garbage"])
def test_a_jpeg_with_a_damaged_middle_is_unusable(way):
    accepted = 0
    for seed in range(EACH):
        data = of("JPEG", seed)
        half = len(data) // 2
        damaged = {
            "zero": overwritten(data, half, bytes(500)),  # a block of the disk that got lost
            "joined": data[:half] + b"\xff\xd9",  # cut off, and ended properly by some tool
            "newlines": data.replace(b"\n", b"\r\n"),  # copied as if it were text
            "garbage": overwritten(data, half, np.random.default_rng(seed).bytes(200)),
        }[way]
        try:
            inspect(damaged)
            accepted += 1
        except Unusable:
            pass
    # some garbage is as good an image as any other to a decoder: of this kind most are found
    assert accepted <= (EACH // 2 if way == "garbage" else 0)


def animated(kind: str, seed: int) -> bytes:
    frames = [photo(seed + at) for at in range(3)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


def turned(seed: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return of("JPEG", seed, exif=exif)


def grey16(seed: int) -> bytes:
    return encoded(Image.fromarray(np.asarray(photo(seed).convert("L")).astype(np.uint16) * 257))


def colour16(seed: int) -> bytes:
    """16 bits for each of three colours, which Pillow reads but does not write."""
    pixels = np.asarray(photo(seed)).astype(">u2") * 257
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    return png((96, 96, 16, 2), lines)


def see_through(mode: str, seed: int) -> bytes:
    image = photo(seed).convert(mode)
    image.putalpha(200)
    return encoded(image)


ODD: dict[str, Callable[[int], bytes]] = {
    "grey16.png": grey16,
    "colour16.png": colour16,
    "grey.jpg": lambda seed: encoded(photo(seed).convert("L"), "JPEG"),
    "cmyk.jpg": lambda seed: encoded(photo(seed).convert("CMYK"), "JPEG", quality=90),
    "progressive.jpg": lambda seed: of("JPEG", seed, progressive=True),
    "restarts.jpg": lambda seed: of("JPEG", seed, restart_marker_rows=1),
    "full_chroma.jpg": lambda seed: of("JPEG", seed, subsampling=0),
    "turned.jpg": turned,
    "trailing.jpg": lambda seed: of("JPEG", seed) + b"<!-- added by a web server -->",
    "two_pictures.jpg": lambda seed: animated("MPO", seed),
    "palette.png": lambda seed: encoded(photo(seed).quantize(64)),
    "palette_hole.png": lambda seed: encoded(photo(seed).quantize(64), transparency=3),
    "alpha.png": lambda seed: see_through("RGB", seed),
    "grey_alpha.png": lambda seed: see_through("L", seed),
    "black_white.png": lambda seed: encoded(photo(seed).convert("1")),
    "animated.png": lambda seed: animated("PNG", seed),
    "animated.gif": lambda seed: animated("GIF", seed),
    "animated.webp": lambda seed: animated("WEBP", seed),
    "lossless.webp": lambda seed: of("WEBP", seed, lossless=True),
    "plain.bmp": lambda seed: of("BMP", seed),
    "lzw.tiff": lambda seed: of("TIFF", seed, compression="tiff_lzw"),
    "floating.tif": lambda seed: encoded(
        Image.fromarray(np.asarray(photo(seed).convert("L"), np.float32) / 255), "TIFF"
    ),
    "is_jpeg.png": lambda seed: of("JPEG", seed),
    "is_png.jpg": lambda seed: of("PNG", seed),
    "LOUD.JPG": lambda seed: of("JPEG", seed),
    "schöne Grüße 日本.jpg": lambda seed: of("JPEG", seed),
}


def test_odd_images_reach_the_packed_files(tmp_path):
    names = {
        f"{place}/{name}": make(5000 + 100 * at + number)
        for at, place in enumerate(PLACES)
        for number, (name, make) in enumerate(ODD.items())
    }
    write_zip(raw(tmp_path, "folder"), names)
    aside, ids = run_stages(tmp_path, "folder")
    assert aside.empty, aside.to_dict("records")
    assert sorted(ids) == sorted(f"folder/{name}" for name in names)
    packed = Packed(tmp_path / "data/packed/train")
    for at in range(len(packed)):
        seen = decode_inspected(packed.image(at))
        assert seen.shape == (96, 96, 3)
        np.testing.assert_array_equal(seen, decode(packed.image(at)))


@pytest.mark.parametrize("name", sorted(set(ODD) - {"turned.jpg", "black_white.png"}))
def test_odd_images_show_what_was_put_in(name):
    seen, shown = decode(ODD[name](7)).astype(float), np.asarray(photo(7)).astype(float)
    if "alpha" in name:
        shown = shown * (200 / 255) + 55  # on white
    if "grey" in name or name == "floating.tif":
        shown, seen = shown @ [0.299, 0.587, 0.114], seen[..., 0]
    assert np.abs(seen - shown).mean() < 25


def listing(split: str, names: list[str]) -> bytes:
    """A csv of the 140k set (1 = real there); names of five digits are real."""
    lines = [",original_path,id,label,label_str,path"]
    for at, name in enumerate(names):
        kind = "real" if name.isdigit() else "fake"
        lines.append(f"{at},,{name},{int(kind == 'real')},{kind},{split}/{kind}/{name}.jpg")
    return "\n".join(lines).encode()


def test_images_that_are_listed_but_missing_are_set_aside(tmp_path):
    entries, missing = {}, []
    for at, split in enumerate(SPLITS):
        names = [f"{at}{index:04d}" for index in range(12)]
        names += [f"FAKEFAKE{at}{chr(65 + index)}" for index in range(12)]
        entries[f"{split}.csv"] = listing(split, names)
        for index, name in enumerate(names):
            path = f"{split}/{'real' if name.isdigit() else 'fake'}/{name}.jpg"
            if index % 6 == 5:
                missing.append(path)
            else:
                entries[f"real_vs_fake/real-vs-fake/{path}"] = of("JPEG", 1000 * at + index)
    write_zip(raw(tmp_path, "faces140k"), entries)
    aside, ids = run_stages(tmp_path, "faces140k")
    assert set(aside["path"].str.removeprefix("real_vs_fake/real-vs-fake/")) == set(missing)
    assert set(aside["reason"]) == {"listed, but not in the archive"}
    assert len(ids) == 3 * 24 - len(missing)
    assert not {Path(path).stem for path in missing} & {name.split("/")[-1] for name in ids}


LISTINGS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(500),
    "not_utf8": lambda data: data.replace(b"FAKE", b"gr\xfc\xdfe"),
    "utf16": lambda data: data.decode().encode("utf-16"),
    "open_quote": lambda data: data + b'\n"5,,a',
    "too_many_columns": lambda data: data + b"\n1,2,3,4,5,6,7,8,9",
    "unknown_label": lambda data: data.replace(b",fake,", b",Fake!,"),
}


@pytest.mark.parametrize("damage", LISTINGS)
def test_a_damaged_listing_is_one_error(tmp_path, damage):
    entries = {
        f"{split}.csv": listing(split, [f"1000{at}", f"FAKE{at}"])
        for at, split in enumerate(SPLITS)
    }
    entries["valid.csv"] = LISTINGS[damage](entries["valid.csv"])
    with (
        open_archive(write_zip(tmp_path / "a.zip", entries)) as archive,
        pytest.raises(UserError, match=r"valid\.csv"),
    ):
        rows("faces140k", archive)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_damage_raises_anything_but_unusable():
    """Random changes of bytes, most of them in headers, in files of every format."""
    random = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker of cameras"
    files = [of(kind, 1, **({"exif": exif})) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    files += [of("JPEG", 2, progressive=True), of("BMP", 2), grey16(2), animated("GIF", 2)]
    files += [animated("MPO", 3), animated("WEBP", 3), of("TIFF", 3, compression="tiff_lzw")]
    for data in files:
        for _ in range(60):
            changed = bytearray(data)
            for at in random.integers(2, min(len(data), 700), size=random.integers(1, 6)):
                changed[at] = random.integers(256)
            for function in (decode, decode_inspected, inspect):
                try:
                    function(bytes(changed))
                except Unusable as reason:
                    assert str(reason)  # noqa: PT017


def bad_name(data: bytearray) -> None:
    """The zip says that a name is UTF-8, and it is not."""
    for at in (data.find("ü".encode()), data.rfind("ü".encode())):
        data[at] = 0xFF


def new_version(data: bytearray) -> None:
    """The zip says that it needs a later version of the format than there is."""
    data[data.find(b"PK\1\2") + 6] = 99


@pytest.mark.parametrize("change", [bad_name, new_version])
def test_an_archive_that_cannot_be_listed_is_one_error(tmp_path, change):
    path = write_zip(tmp_path / "a.zip", {"real/ü.jpg": of("JPEG", 1), "fake/b.jpg": b""})
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.zip"):
        open_archive(path).close()
