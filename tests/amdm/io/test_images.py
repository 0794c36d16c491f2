from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from amdm.errors import InputError
from amdm.io.images import MAX_FILE_BYTES, load_style

LEFT_RED = np.zeros((4, 8, 3), np.uint8)
LEFT_RED[:, :4] = 255, 0, 0
LEFT_RED[:, 4:] = 0, 0, 255


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def pixels(path: Path) -> np.ndarray:
    found = load_style(path)
    assert found.mode == "RGB"
    return np.asarray(found)


def test_a_picture_is_read_as_it_is(tmp_path: Path) -> None:
    np.testing.assert_array_equal(pixels(saved(tmp_path / "a.png", Image.fromarray(LEFT_RED))), LEFT_RED)


def test_16_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    grey = np.array([[0, 257 * 100, 257 * 200, 65535]], np.uint16)
    found = pixels(saved(tmp_path / "a.png", Image.fromarray(grey)))
    assert found[0, :, 0].tolist() == [0, 100, 200, 255] and (found[..., 0] == found[..., 2]).all()


def test_cmyk_keeps_its_colours(tmp_path: Path) -> None:
    found = pixels(saved(tmp_path / "a.jpg", Image.fromarray(LEFT_RED).resize((64, 32)).convert("CMYK"), quality=95))
    assert np.abs(found[16, 8].astype(int) - (255, 0, 0)).max() < 12
    assert np.abs(found[16, 56].astype(int) - (0, 0, 255)).max() < 12


def test_a_rotated_photograph_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn clockwise by 90°
    found = pixels(saved(tmp_path / "a.png", Image.fromarray(LEFT_RED), exif=exif))
    assert found.shape == (8, 4, 3)
    assert found[0, 0].tolist() == [255, 0, 0] and found[-1, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((0, 0), (0, 0, 0, 255))
    options = {"transparency": 0} if mode == "P" else {}
    if mode == "P":
        image = Image.new("P", (4, 4), 0)
        image.putpalette([10, 20, 30, 0, 0, 0])
        image.putpixel((0, 0), 1)
    found = pixels(saved(tmp_path / "a.png", image.convert(mode), **options))
    assert found[0, 0].tolist() == [0, 0, 0] and found[1, 1].tolist() == [255, 255, 255]


def png(width: int, height: int, data: bytes, *others: tuple[bytes, bytes]) -> bytes:
    """A grey 8-bit PNG that claims a size."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), *others, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as a picture"),
        (b"GIF89a" + bytes(64), "cannot be read as a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) run\n", "cannot be read as a picture"),
        (png(100_000, 100_000, zlib.compress(bytes(10_000_000))), "a side of more than 8192"),
        (png(2**31 - 1, 1, b""), "a side of more than 8192"),
        (png(8, 8, zlib.compress(bytes(8))), "cannot be read as a picture"),
        (png(8, 8, b"no zlib stream"), "cannot be read as a picture"),
        (
            png(8, 8, zlib.compress(bytes(72)), (b"zTXt", b"k\0\0" + zlib.compress(bytes(200_000_000), 9))),
            "cannot be read",
        ),
    ],
)
def test_bombs_and_broken_files_are_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as found:
        load_style(path)
    assert str(found.value).startswith(f"{path}: ")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp"])
def test_a_torn_picture_is_no_picture(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read as a picture"):
        load_style(path)


def test_what_is_no_file_or_too_large_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    for name, message in (("absent", "not a file"), ("pipe", "not a file"), (".", "not a file"), ("large.png", "more")):
        with pytest.raises(InputError, match=message):
            load_style(tmp_path / name)


def test_a_jpeg_of_many_scans_is_not_decoded(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.new("L", (64, 64), 128), progressive=True)
    assert load_style(path).size == (64, 64)
    content = path.read_bytes()
    last = content[content.rindex(b"\xff\xda") : -2]
    path.write_bytes(content[:-2] + 40 * last + content[-2:])
    with pytest.raises(InputError, match=r"a\.jpg: has more than 32 scans"):
        load_style(path)
