"""Places: whole objects, one line for whatever is wrong, and no credentials shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from amdm.errors import InputError
from bench.place import Place, folder_or_place, is_url
from tests.bench.s3 import BUCKET, Server


@pytest.mark.parametrize(
    "text",
    [
        *("s3://", "s3:///a", "no scheme://x/y", "s3://a/../b", "s3://b/a\n", "zip://a::s3://b/c", "file:///tmp/a"),
        *("s3://key:secret@bucket/run", "https://host/run?X-Amz-Signature=secret", "https://host/run#secret"),
    ],
)
def test_what_is_no_place_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InputError) as refused:
        Place.parse(text)
    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)


def test_urls_are_told_from_folders() -> None:
    assert folder_or_place("runs/a") == Path("runs/a") and not is_url("C:/a") and not is_url(None)
    assert folder_or_place("s3://b/runs/a/") == Place("s3://b/runs/a") and Place("s3://b/runs/a").name == "a"


def test_kinds_that_are_not_known_or_not_installed_are_one_line() -> None:
    with pytest.raises(InputError, match="'nowhere' is no kind of place that fsspec knows"):
        Place.parse("nowhere://a/b").sizes()
    with pytest.raises(InputError, match="not installed"):
        Place.parse("oci://a/b").sizes()


def check_objects(place: Place, folder: Path) -> None:
    """All that a place does."""
    assert place.sizes() == {} and not place.has("a/x")
    assert place.create("a/x", b"123") and not place.create("a/x", b"4567")
    place.write("empty", b"")
    assert place.sizes() == {"a/x": 3, "empty": 0} and place.folders() == ["a"] and place.has("a/x")
    assert place.read("a/x", 3) == b"123" and place.read("empty", 0) == b""
    with pytest.raises(InputError, match="a/x: has more than 2 bytes"):
        place.read("a/x", 2)
    with pytest.raises(InputError, match="b/y: is absent"):
        place.read("b/y", 2)
    local = [folder / str(k) for k in range(600)]
    for k, path in enumerate(local):
        path.write_bytes(bytes(k))
    place.send((f"many/{k}", path) for k, path in enumerate(local))
    counts = list(place.fetch((f"many/{k}", folder / f"got-{k}") for k in range(600)))
    assert sum(counts) == 600 and len(counts) == 3
    assert all((folder / f"got-{k}").read_bytes() == bytes(k) for k in range(600))
    with pytest.raises(InputError, match="is absent"):
        list(place.fetch([("many/601", folder / "none")]))


def test_objects_in_memory(tmp_path: Path) -> None:
    check_objects(Place.parse(f"memory://{tmp_path.name}/place"), tmp_path)


def test_objects_at_s3(s3: Server, tmp_path: Path) -> None:
    check_objects(Place.parse(f"s3://{BUCKET}/deep/place"), tmp_path)


def test_whatever_is_wrong_with_s3_is_one_line_without_credentials(s3: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    absent, place = Place.parse("s3://no-such-bucket/run"), Place.parse(f"s3://{BUCKET}/run")
    for use in (absent.sizes, lambda: absent.write("a", b"1"), lambda: absent.create("a", b"1")):
        with pytest.raises(InputError, match=r"no-such-bucket/run(/a)?: is absent"):
            use()
    s3.ask_who_one_is(True)
    for use in (place.sizes, lambda: place.write("a", b"1"), lambda: place.send([("a", tmp_path / "file")])):
        with pytest.raises(InputError, match="is not permitted") as refused:
            use()
        assert "of-the-test" not in str(refused.value)
    s3.ask_who_one_is(False)
    s3.stop()
    try:
        with pytest.raises(ConnectionError, match=f"s3://{BUCKET}/run/a: cannot be reached"):
            place.write("a", b"1")
    finally:
        s3.start()
    place.write("a", b"1")
