"""One conversion to RGB: the same colours whatever mode they come in, from a program or from a file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from amdm.errors import InputError
from amdm.io.images import load_style
from amdm.io.picture import to_pixels, to_rgb

MODES = [mode for mode in Image.MODES if mode != "F"]
UNREAD = ("YCbCr",) if int(Image.__version__.partition(".")[0]) < 13 else ()
"""Modes of TIFF files that an older Pillow writes and does not read again."""
SAVED = [
    *(("png", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B")),
    *(("tif", mode) for mode in MODES if mode not in ("HSV", "La", "RGBa", "I;16N", *UNREAD)),
]
HALF = 128


def drawn(mode: str) -> Image.Image:
    """Four pixels of that mode: white, black, and where it has alpha a transparent and a half transparent black."""
    grey = np.array([[255, 0, 0, 0]], np.uint8)
    alpha = np.array([[255, 255, 0, HALF]], np.uint8)
    if mode.startswith("I;16"):
        order = ">u2" if mode == "I;16B" else "<u2"
        return Image.frombytes(mode, (4, 1), (grey.astype(np.uint16) * 257).astype(order).tobytes())
    if mode == "I":
        return Image.fromarray(grey.astype(np.int32) * 257)
    if mode == "PA":  # what converts to it drops the alpha
        image = Image.frombytes("PA", (4, 1), np.dstack([grey, alpha]).tobytes())
        image.putpalette([value for value in range(256) for _ in range(3)])
        return image
    if mode in ("RGBA", "LA"):
        return Image.fromarray(np.dstack([grey, alpha])).convert(mode)
    if mode in ("RGBa", "La"):
        return Image.fromarray(np.dstack([grey, alpha])).convert({"La": "LA", "RGBa": "RGBA"}[mode]).convert(mode)
    if mode == "LAB":
        return Image.frombytes("LAB", (4, 1), b"\xff\x00\x00" + 3 * b"\x00\x00\x00")
    return Image.fromarray(grey).convert("RGB").convert(mode)


@pytest.mark.parametrize("mode", MODES)
def test_white_black_and_transparent_in_every_mode(mode: str) -> None:
    found = np.asarray(to_rgb(drawn(mode)))
    expected = [255, 0, 255, 127] if "A" in mode.upper().removeprefix("LAB") else [255, 0, 0, 0]
    assert found.shape == (1, 4, 3) and found.dtype == np.uint8
    assert np.abs(found[0].astype(int) - np.array(expected)[:, None]).max() <= 1


@pytest.mark.parametrize(("suffix", "mode"), SAVED)
def test_a_file_gives_what_the_picture_itself_gives(tmp_path: Path, suffix: str, mode: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    coloured = mode in ("RGB", "RGBX", "CMYK", "YCbCr", "LAB")
    image, path = Image.fromarray(noise).convert(mode) if coloured else drawn(mode), tmp_path / f"a.{suffix}"
    image.save(path)
    np.testing.assert_array_equal(np.asarray(load_style(path)), np.asarray(to_rgb(image)))


def test_the_transparent_grey_of_16_bits_is_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[257, 258, 65535]], np.uint16)).save(tmp_path / "a.png", transparency=257)
    assert np.asarray(load_style(tmp_path / "a.png"))[0, :, 0].tolist() == [255, 1, 255]


def grey_png(path: Path, bits: int, values: list[int], transparent: int) -> Path:
    """One row, which Pillow cannot write with a transparent grey of few bits."""
    row = int("".join(f"{value:0{bits}b}" for value in values), 2).to_bytes(len(values) * bits // 8, "big")
    head = struct.pack(">IIBBBBB", len(values), 1, bits, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"tRNS", struct.pack(">H", transparent)), (b"IDAT", zlib.compress(b"\0" + row)))
    chunks = [(*one, zlib.crc32(b"".join(one))) for one in (*parts, (b"IEND", b""))]
    content = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc) for kind, body, crc in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return path


@pytest.mark.parametrize(("bits", "step"), [(1, 255), (2, 85), (4, 17), (8, 1)])
def test_the_transparent_grey_of_any_depth_is_white(tmp_path: Path, bits: int, step: int) -> None:
    values = [value % 2**bits for value in (0, 1, 2, 3, 0, 1, 2, 3)]
    for transparent in (0, 1):
        expected = [255 if value == transparent else value * step for value in values]
        path = grey_png(tmp_path / "a.png", bits, values, transparent)
        assert np.asarray(load_style(path))[0, :, 0].tolist() == expected
        with Image.open(path) as opened:
            assert np.asarray(to_rgb(opened))[0, :, 0].tolist() == expected


def test_the_transparent_colour_of_16_bits_is_white() -> None:
    image = Image.new("RGB", (1, 1), (10, 20, 30))
    image.info["transparency"] = (10 * 257, 20 * 257, 30 * 257)  # as Pillow reads such a PNG
    assert to_rgb(image).getpixel((0, 0)) == (255, 255, 255)
    assert image.info["transparency"] == (2570, 5140, 7710)


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_eight_bit_values_in_wider_integers_are_taken_as_they_are(tmp_path: Path, kind: type) -> None:
    grey = np.array([[0, 7, 128, 255]], np.uint8)
    path = tmp_path / ("a.png" if kind is np.uint16 else "a.tif")  # Pillow writes no other
    Image.fromarray(grey.astype(kind)).save(path)
    for image in (Image.fromarray(grey.astype(kind)), load_style(path)):
        np.testing.assert_array_equal(np.asarray(to_rgb(image))[..., 0], grey)
    assert not np.asarray(to_rgb(Image.fromarray(np.array([[0, 256]], kind))))[0, 0].any()


@pytest.mark.parametrize("bit", [np.uint8, np.uint16])
def test_the_transparent_colour_of_a_palette_or_of_grey(tmp_path: Path, bit: type) -> None:
    Image.fromarray(np.array([[0, 9]], bit)).save(tmp_path / "a.png", transparency=0)
    assert np.asarray(load_style(tmp_path / "a.png"))[0, 0].tolist() == [255] * 3
    palette = Image.new("P", (2, 1))
    palette.putpalette([1, 2, 3, 4, 5, 6])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "a.gif", transparency=1)
    assert np.asarray(load_style(tmp_path / "a.gif"))[0].tolist() == [[1, 2, 3], [255] * 3]


def test_what_nothing_says_the_white_of_is_refused(tmp_path: Path) -> None:
    Image.new("F", (2, 2), 0.5).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif: holds float values"):
        load_style(tmp_path / "a.tif")
    for value in (-1, 65536):
        with pytest.raises(InputError, match="integers outside"):
            to_rgb(Image.new("I", (2, 2), value))


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.webp", "a.png", "a.tif"):
        options: dict[str, Any] = {"lossless": True} if name.endswith("webp") else {}
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
        assert np.asarray(load_style(tmp_path / name))[0, 0].tolist() == [255, 0, 0], name


@pytest.mark.parametrize("suffix", ["jpg", "tif", "png", "webp"])
def test_every_format_is_turned_upright(tmp_path: Path, suffix: str) -> None:
    image = Image.new("RGB", (32, 16), "red")
    image.paste("blue", (16, 0, 32, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90°
    image.save(tmp_path / f"a.{suffix}", exif=exif)
    found = np.asarray(load_style(tmp_path / f"a.{suffix}")).astype(int)
    assert found.shape == (32, 16, 3) and found[4, 8, 0] > 200 > 60 > found[28, 8, 0]


GIVEN = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3) * 10


@pytest.mark.parametrize(
    "picture",
    [
        GIVEN,
        Image.fromarray(GIVEN),
        GIVEN / 255,
        (GIVEN / 255).astype(np.float32),
        (GIVEN / 255).astype(np.float16),
        torch.from_numpy(GIVEN),
        torch.from_numpy(GIVEN).permute(2, 0, 1),
        torch.from_numpy(GIVEN / 255).permute(2, 0, 1).requires_grad_(),
        torch.from_numpy(GIVEN / 255).half(),
        torch.from_numpy(GIVEN / 255) * (1 + 1e-6),
    ],
)
def test_what_programs_give_is_the_same_picture(picture: Any) -> None:
    found = to_pixels(picture)
    assert found is not None and found.dtype == np.uint8
    np.testing.assert_array_equal(found, GIVEN)


def test_bfloat16_is_rounded_as_it_can_be() -> None:
    found = to_pixels(torch.from_numpy(GIVEN / 255).bfloat16().permute(2, 0, 1))
    assert found is not None and np.abs(found.astype(int) - GIVEN).max() <= 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_picture_with_nan_is_none(value: float) -> None:
    picture = np.full((4, 4, 3), 0.5)
    picture[1, 2, 0] = value
    assert to_pixels(picture) is None and to_pixels(torch.from_numpy(picture)) is None


@pytest.mark.parametrize(
    ("picture", "what"),
    [
        (np.full((4, 4, 3), 255.0), r"floats from 255 to 255; they must be in \[0, 1\]"),
        (torch.full((3, 4, 4), -1.0), "floats from -1 to -1"),
        (np.zeros((3, 4, 4), np.uint8), r"uint8 and shape \(3, 4, 4\)"),
        (np.zeros((4, 4), np.uint8), r"uint8 and shape \(4, 4\)"),
        (np.zeros((4, 4, 4)), r"float64 and shape \(4, 4, 4\)"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.zeros((4, 4, 3), bool), "bool"),
        (torch.zeros(1, 3, 4, 4), r"shape \(1, 3, 4, 4\)"),
        (None, "is a NoneType; it must be a PIL image"),
        ("picture.png", "is a str"),
        ([[[0, 0, 0]]], "is a list"),
        (Image.new("F", (2, 2)), "float values"),
    ],
)
def test_what_is_no_picture_is_refused(picture: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        to_pixels(picture)
