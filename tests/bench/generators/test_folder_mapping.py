from __future__ import annotations

from pathlib import Path

import pytest

from amdm.errors import InputError
from bench.generators.folder_mapping import read_mapping
from bench.generators.folder_names import KeyNames

NAMES = KeyNames(map(str, range(10)))
PLAIN = "file,key\na.png,0\nb/c.png,1\n"


def mapped(folder: Path, content: bytes) -> dict[str, str]:
    (folder / "map.csv").write_bytes(content)
    return {file: said.key for file, said in read_mapping(folder / "map.csv", NAMES, "ten", folder).items()}


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-be").join([b"\xfe\xff", b""]),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        (PLAIN.replace("\n", "  \n") + "\n   \n,\n\n").encode(),
        ("\n" + PLAIN).encode(),
        PLAIN.replace("file,key", " File , KEY ").encode(),
        PLAIN.replace(",", " , ").encode(),
        b'"file","key","note"\n"a.png","0","x, y"\n"b/c.png","1"\n',
        b"key;file\n0;./a.png\n00001;b\\c.png\n",
        b"sep=;\r\nfile;key\r\na.png;0\r\nb/c.png;1\r\n",
        b'"sep=|"\nfile|key\na.png|0\nb/c.png|1\n',
        b"SEP=,\nfile,key\na.png,0\nb/c.png,1\n",
    ],
)
def test_what_other_programs_write(tmp_path: Path, content: bytes) -> None:
    assert mapped(tmp_path, content) == {"a.png": "0", "b/c.png": "1"}


def test_a_seed_is_a_column(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text("file,key,seed\na.png,0,3\nb.png,0,\n")
    assert {k: v.seed for k, v in read_mapping(tmp_path / "map.csv", NAMES, "ten", tmp_path).items()} == {
        "a.png": 3,
        "b.png": None,
    }


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (
            "name,label\na.png,1\n",
            "needs the columns file and key; its first line has no 'file', it holds 'name', 'label'",
        ),
        ("file|key\na.png|1\n", "it holds 'file|key'"),
        ("", "it holds nothing"),
        ("file,key\na.png,1\n./a.png,2\n", "line 3: 'a.png' stands twice"),
        ("file,key\na.png,zz\n", "line 2: 'zz' is the key of no layout of ten"),
        ("file,key\na.png,11\n", "line 2: '11' is the key of no layout of ten; did you mean 1? there are: 0, 1, 2"),
        ("file,key,Key\na.png,1,2\n", "has the column key twice"),
        ("File;KEY;file\na.png;1;b.png\n", "has the column file twice"),
        ("file,key\n\n", "has no rows below its header"),
        ("sep=;\nfile;key\n", "has no rows below its header"),
        ("file,key\na.png\n", "line 2: needs a file and a key"),
        ("file,key,seed\na.png,1,x\n", "line 2.seed: 'x' is not a seed"),
        ("sep=;\nfile;key\n\na.png;zz\n", "line 4: 'zz' is the key"),
        ("sep=;\n", "it holds nothing"),
        ("file,key\n../a.png,1\n", "line 2: '../a.png' is outside the folder "),
        ("file,key\nb\\..\\..\\a.png,1\n", "line 2: 'b\\\\..\\\\..\\\\a.png' is outside the folder "),
        ("file,key\na.png,0\n/etc/passwd,1\n", "line 3: '/etc/passwd' is outside the folder "),
        ('file,key\n"a.png,1\n', "cannot be read as CSV"),
        (b"\xff\x00\xff", "not UTF-8 text"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: str | bytes, what: str) -> None:
    with pytest.raises(InputError) as found:
        mapped(tmp_path, content if isinstance(content, bytes) else content.encode())
    assert str(found.value).startswith(f"{tmp_path}/map.csv: ") and what in str(found.value)


def test_an_absolute_path_inside_the_folder_is_a_path_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    content = f"file,key\n{tmp_path}/a.png,0\n{tmp_path}/b//c.png,1\n".encode()
    assert mapped(tmp_path, content) == {"a.png": "0", "b/c.png": "1"}
    assert mapped(tmp_path / "link", content) == {"a.png": "0", "b/c.png": "1"}
