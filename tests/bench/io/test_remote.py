"""Remote folders: whole objects, one line for whatever is wrong, and no credentials shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from amdm.errors import InputError
from bench.io.remote import RemoteFolder, is_url, local_or_remote
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
        RemoteFolder.parse(text)
    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)


def test_urls_are_told_from_folders() -> None:
    assert local_or_remote("runs/a") == Path("runs/a") and not is_url("C:/a") and not is_url(None)
    assert (
        local_or_remote("s3://b/runs/a/") == RemoteFolder("s3://b/runs/a") and RemoteFolder("s3://b/runs/a").name == "a"
    )


def test_kinds_that_are_not_known_or_not_installed_are_one_line() -> None:
    with pytest.raises(InputError, match="'nowhere' is not a kind of place that fsspec knows"):
        RemoteFolder.parse("nowhere://a/b").sizes()
    with pytest.raises(InputError, match="not installed"):
        RemoteFolder.parse("oci://a/b").sizes()


def check_objects(remote: RemoteFolder, folder: Path) -> None:
    """All that a remote folder does."""
    assert remote.sizes() == {} and not remote.has("a/x")
    assert remote.create("a/x", b"123") and not remote.create("a/x", b"4567")
    remote.write("empty", b"")
    assert remote.sizes() == {"a/x": 3, "empty": 0} and remote.folders() == ["a"] and remote.has("a/x")
    assert remote.read("a/x", 3) == b"123" and remote.read("empty", 0) == b""
    with pytest.raises(InputError, match="a/x: has more than 2 bytes"):
        remote.read("a/x", 2)
    with pytest.raises(InputError, match="b/y: is absent"):
        remote.read("b/y", 2)
    local = [folder / str(k) for k in range(600)]
    for k, path in enumerate(local):
        path.write_bytes(bytes(k))
    remote.send((f"many/{k}", path) for k, path in enumerate(local))
    counts = list(remote.fetch((f"many/{k}", folder / f"got-{k}") for k in range(600)))
    assert sum(counts) == 600 and len(counts) == 3
    assert all((folder / f"got-{k}").read_bytes() == bytes(k) for k in range(600))
    with pytest.raises(InputError, match="is absent"):
        list(remote.fetch([("many/601", folder / "none")]))


def test_objects_in_memory(tmp_path: Path) -> None:
    check_objects(RemoteFolder.parse(f"memory://{tmp_path.name}/place"), tmp_path)


def test_objects_at_s3(s3: Server, tmp_path: Path) -> None:
    check_objects(RemoteFolder.parse(f"s3://{BUCKET}/deep/place"), tmp_path)


def test_whatever_is_wrong_with_s3_is_one_line_without_credentials(s3: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    absent, remote = RemoteFolder.parse("s3://no-such-bucket/run"), RemoteFolder.parse(f"s3://{BUCKET}/run")
    for use in (absent.sizes, lambda: absent.write("a", b"1"), lambda: absent.create("a", b"1")):
        with pytest.raises(InputError, match=r"no-such-bucket/run(/a)?: is absent"):
            use()
    s3.ask_who_one_is(True)
    for use in (remote.sizes, lambda: remote.write("a", b"1"), lambda: remote.send([("a", tmp_path / "file")])):
        with pytest.raises(InputError, match="is not permitted") as refused:
            use()
        assert "of-the-test" not in str(refused.value)
    s3.ask_who_one_is(False)
    s3.stop()
    try:
        with pytest.raises(ConnectionError, match=f"s3://{BUCKET}/run/a: cannot be reached"):
            remote.write("a", b"1")
    finally:
        s3.start()
    remote.write("a", b"1")
