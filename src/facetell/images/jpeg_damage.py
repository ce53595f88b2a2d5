# SPDX-License-Identifier: Apache-2.0
"""Whether a JPEG's pixels are those that were encoded, or the decoder had to make up a part.

libjpeg decodes damaged files as far as it can and only warns. Four of its warnings do not touch
the pixels: bytes that belong to nothing between the parts of the header or between the last pixel
and the end marker, a JFIF version that it does not know, spectral parameters that a sequential scan
does not use, and a part of a colour profile that is out of place. Cameras write such files. So the
file is decoded again without what it warns of: if no warning is left, the pixels are those that
were encoded.

Bytes that are left before the end marker are stray only if the scan came to its end. Where
entropy-coded data were overwritten, the decoder may also be done too early, and what is left is
coded blocks (about half of such damage shows in no other way). That is told apart by two marks of
the end of a scan, ITU-T T.81, F.1.2.3: unused bits of its last byte are all equal, and a scan that
came to its end is not followed by whole blocks that end where the bytes do. And where the end was
overwritten, what fills it begins before it. Of damage that shows in no other way, about one file in
a hundred passes for whole.

Some damage makes libjpeg say nothing at all, such as flipped bits. What a disk loses is often
zeroed, and long runs of zeros are found.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import simplejpeg

HARMLESS = re.compile(
    r"\d+ extraneous bytes before marker 0x(?!d[0-7])"  # restart markers are within the pixels
    r"|unknown JFIF revision|Invalid SOS parameters for sequential|bad ICC marker"
)
_BEFORE_END = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
END = b"\xff\xd9"
ZEROS = bytes(64)  # as coded pixels, some blocks, all of whose coefficients would be the same
SOI, EOI, SOS, DHT, DQT, DRI, JFIF, PROFILE = 0xD8, 0xD9, 0xDA, 0xC4, 0xDB, 0xDD, 0xE0, 0xE2
SEQUENTIAL = (0xC0, 0xC1)  # frames: baseline and extended, both with Huffman codes
ABOUT = (SOI, *range(0xE0, 0xF0), 0xFE)  # applications' segments, and comments
FRAMES = (*SEQUENTIAL, 0xC2, 0xC9, 0xCA)
# so that each change of a coefficient is seen, in flat and in busy blocks: equal small and large
# steps, and no conversion of colours
STEPS = (1, 8)
_NO_CONVERSION = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # no stuffing, restart or filling

Codes = dict[tuple[int, int], int]  # symbol by length and value of its Huffman code


def damage(data: bytes) -> str:
    """What libjpeg says of a JPEG whose pixels are in part made up; empty if none are.

    >>> import io
    >>> from PIL import Image
    >>> buffer = io.BytesIO()
    >>> Image.effect_noise((64, 64), 50).convert("RGB").save(buffer, "JPEG")
    >>> whole = buffer.getvalue()
    >>> damage(whole), damage(whole[:-2] + bytes(9) + END)
    ('', '')
    >>> damage(whole[: len(whole) // 2] + END)
    'Corrupt JPEG data: premature end of data segment'
    """
    said = warning(data)
    known = not said or HARMLESS.search(said)
    if not known or not (said or ZEROS in data):
        return said
    try:
        scan = Scan.last(data)
        if scan.zeroed():
            return "zeros among the coded pixels"
        if not said:
            return ""
        return said if scan.leaves_blocks() else warning(scan.head + scan.coded() + END)
    except (IndexError, KeyError):  # the header says less than it should
        return said


def warning(data: bytes) -> str:
    """The first warning or error of libjpeg; empty if there is none."""
    try:
        simplejpeg.decode_jpeg(data, "GRAY", strict=True)
    except ValueError as error:
        return str(error)
    return ""


@dataclass(frozen=True)
class Scan:
    """The last scan of a JPEG: its entropy-coded bytes, and all that comes before.

    head : bytes up to the scan, without what libjpeg warns of and does not use.
    plain : the same, as far as it says how to read the scan, without tables of quantisation.
    data : bytes from there to the end marker.
    blocks : DC and AC codes of the blocks of an MCU in their order; empty where it is not the only
        scan of a sequential frame.
    """

    head: bytes
    plain: bytes
    data: bytes
    blocks: list[tuple[Codes, Codes]] = field(default_factory=list)

    @classmethod
    def last(cls, data: bytes) -> "Scan":
        """Take a JPEG apart; IndexError or KeyError where that is not possible."""
        parts = list(_parts(data))
        kind, frame = {marker: body for marker, body, _ in parts if marker in FRAMES}.popitem()
        scans = [body for marker, body, _ in parts if marker == SOS]
        head, plain = [data[:2]], [_NO_CONVERSION]
        codes: dict[int, Codes] = {}
        for marker, body, coded in parts:
            segment = _written(marker, _undisputed(marker, body, kind)) + coded
            head.append(segment)
            if marker in (*FRAMES, DHT, DRI, SOS):
                plain.append(segment)
            if marker == DHT:
                codes |= _codes(body)
        alone = len(scans) == 1 and kind in SEQUENTIAL
        blocks = _mcu(frame, scans[0], codes) if alone else []
        last = parts[-1][2]
        before, said = (b"".join(one).removesuffix(last) for one in (head, plain))
        return cls(before, said, last, blocks)

    def zeroed(self) -> bool:
        """Whether zeros were written over coded pixels; they may stand for blocks that are flat."""
        if not self.blocks or ZEROS not in self.data:
            return False
        flat = all(
            any((length, 0) in codes and codes[length, 0] == 0 for length in range(1, 17))
            for codes in {id(codes): codes for block in self.blocks for codes in block}.values()
        )
        return not flat and ZEROS in self.coded()

    def coded(self) -> bytes:
        """The bytes that the decoder uses: the fewest with which it has all that it needs."""
        said = _BEFORE_END.match(warning(self.head + self.data + END))
        if said is None:  # at most so many as it reads ahead
            return self.data
        # each byte that it skips may be stuffed, and it has read some ahead
        enough, fewer = len(self.data), max(0, len(self.data) - 2 * int(said[1]) - 32)
        while fewer < enough:
            middle = (fewer + enough) // 2
            if "premature end" in warning(self.head + self.data[:middle] + END):
                fewer = middle + 1
            else:
                enough = middle
        return self.data[:enough]

    def leaves_blocks(self) -> bool:
        """Whether what the decoder leaves is of the picture, so that it went astray before."""
        coded = self.coded()
        tail = self.data[len(coded) :]
        if not tail:
            return False
        last, unused = self._unused(coded)
        padding = f"{last:08b}"[8 - unused :]
        filled = coded.endswith(tail[:1] * 2)  # what overwrote the end began before it
        if filled or len(set(padding)) > 1:
            return True
        if not self.blocks:  # of other kinds only filling is believed: one byte again and again
            return len(set(tail)) > 1
        bits = "".join(f"{byte:08b}" for byte in tail.replace(b"\xff\0", b"\xff"))
        # some may be used without that it shows, in a flat part that is black or white
        return any(_only_mcus(padding[at:] + bits, self.blocks) for at in range(unused + 1))

    def _unused(self, coded: bytes) -> tuple[int, int]:
        """The last coded byte, and how many of its lowest bits the decoder does not use."""
        stuffed = coded.endswith(b"\xff\0")
        before, last = coded[: -1 - stuffed], coded[-1 - stuffed]
        pixels = self._pixels(coded)
        for bit in range(8):
            other = last ^ 1 << bit
            changed = before + bytes([other]) + b"\0" * (other == 0xFF)
            found = self._pixels(changed)
            if pixels is None or found is None or not all(map(np.array_equal, found, pixels)):
                return last, bit
        return last, 8

    def _pixels(self, coded: bytes) -> list[np.ndarray] | None:
        """What is decoded with each of ``STEPS``; None if not all of it can be."""
        found = []
        for step in STEPS:
            tables = (b"\xff\xdb\0\x43" + bytes([at, *[step] * 64]) for at in range(4))
            file = b"\xff\xd8" + b"".join(tables) + self.plain + coded + END
            for colours in ("CMYK", "RGB"):
                with suppress(ValueError):
                    found.append(simplejpeg.decode_jpeg(file, colours, strict=True))
                    break
        return found if len(found) == len(STEPS) else None


def _parts(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Marker and content of each segment up to the end, and the coded bytes that follow a scan's.

    Bytes that belong to nothing may follow what is not about pixels. After a table, say, they would
    mean that it was longer, and that what was read of it is shifted.
    """
    at, marker, coded = 2, SOI, b""
    while True:
        while data[at] != 0xFF:
            if marker not in ABOUT:
                raise IndexError("no marker where a segment ends")
            at += 1
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        if marker == EOI and coded:
            return
        if marker in (SOI, EOI) or marker < 0xC0:
            raise IndexError("no segment")
        end = at + 1 + int.from_bytes(data[at + 1 : at + 3], "big")
        body, coded, at = data[at + 3 : end], b"", end
        if marker == SOS:
            if (found := _AFTER_SCAN.search(data, end)) is None:
                raise IndexError("no marker after a scan")
            coded, at = data[end : found.start()], found.start()
        yield marker, body, coded


def _written(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def _undisputed(marker: int, body: bytes, frame: int) -> bytes:
    """A segment's content without what libjpeg warns of and does not use."""
    if marker == JFIF and body[:5] == b"JFIF\0":
        return body[:5] + b"\x01" + body[6:]  # its version
    if marker == SOS and frame in SEQUENTIAL:
        return body[:-3] + b"\x00\x3f\x00"  # the only ones that it can have
    if marker == PROFILE:
        return body.replace(b"ICC_PROFILE", b"not a profile")
    return body


def _codes(body: bytes) -> Iterator[tuple[int, Codes]]:
    """Huffman tables of a segment by class (high four bits; 1: AC) and number."""
    at = 0
    while at < len(body):
        table: Codes = {}
        symbols, code = at + 17, 0
        for length, count in enumerate(body[at + 1 : symbols], 1):
            for _ in range(count):
                table[length, code] = body[symbols]
                symbols, code = symbols + 1, code + 1
            code <<= 1
        yield body[at], table
        at = symbols


def _mcu(frame: bytes, scan: bytes, codes: dict[int, Codes]) -> list[tuple[Codes, Codes]]:
    """DC and AC codes of the blocks of an MCU, in their order."""
    factors = {frame[at]: frame[at + 1] for at in range(6, 6 + 3 * frame[5], 3)}
    blocks = []
    for at in range(1, 1 + 2 * scan[0], 2):
        sampling = factors[scan[at]]
        number = (sampling >> 4) * (sampling & 15) if scan[0] > 1 else 1
        table = scan[at + 1]
        blocks += [(codes[table >> 4], codes[16 | (table & 15)])] * number
    return blocks


def _only_mcus(bits: str, blocks: list[tuple[Codes, Codes]]) -> bool:
    """Whether ``bits`` are coded MCUs, at least one, and the padding of the last byte."""
    end, at = 0, 0
    while True:
        for dc, ac in blocks:
            if (after := _block(bits, at, dc, ac)) is None:
                return end > 0 and len(bits) - end < 8 and len(set(bits[end:])) < 2
            at = after
        end = at


def _block(bits: str, at: int, dc: Codes, ac: Codes) -> int | None:
    """Where a coded block ends that begins at ``at``; None if it is cut off or none."""
    size, at = _symbol(bits, at, dc)
    at += size
    place = 1
    while place < 64 and size >= 0:
        size, at = _symbol(bits, at, ac)
        if size == 0:  # the others are 0
            break
        place += (size >> 4) + 1
        at += size & 15
    return at if size >= 0 and place <= 64 and at <= len(bits) else None


def _symbol(bits: str, at: int, codes: Codes) -> tuple[int, int]:
    """The symbol that is coded at ``at``, and where its code ends; -1 if there is none."""
    code = 0
    for length in range(1, min(16, len(bits) - at) + 1):
        code = 2 * code + (bits[at + length - 1] == "1")
        if (length, code) in codes:
            return codes[length, code], at + length
    return -1, at
