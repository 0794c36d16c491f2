"""Strategies: values that strangers' files hold, and valid content with some places changed."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

TEXTS = (
    *(
        "",
        " ",
        "../../escape",
        "/etc/passwd",
        "..",
        ".",
        "~",
        "C:\\x",
        "a\0b",
        "a\nb\r\n",
        "\x1b[2J\x1b]0;x\x07",
        "\ud800",
    ),
    *(
        "\u202egnp.exe",
        "\u2066x\u2069",
        "🙂" * 40,
        "é" * 300,
        "%s%n{0}",
        "{{7*7}}",
        "$(touch x)",
        "`id`",
        "'; DROP TABLE x;--",
    ),
    *(
        "__import__('os').system('touch x')",
        "!!python/object/apply:os.system [id]",
        "<script>alert(1)</script>",
        "| a |",
    ),
    *("null", "NaN", "1e999", "-0", "0x10", "x" * 5000, "x" * 10_000_000),
)
NUMBERS = (
    0,
    -1,
    1,
    2,
    2**31,
    2**63,
    -(2**63),
    10**30,
    0.0,
    -0.0,
    0.5,
    1e-320,
    1e308,
    float("inf"),
    float("nan"),
    1.0000001,
)

texts = st.sampled_from(TEXTS) | st.text(max_size=20)
scalars = st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.integers() | st.floats() | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
)
deep = st.integers(100, 100_000).map(lambda depth: b"[" * depth)
"""Files that are nothing but depth."""


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value with one to three places replaced, removed, renamed or repeated."""
    for _ in range(draw(st.integers(1, 3))):
        value = _changed_once(draw, value)
    return value


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes cut, flipped, overwritten, removed or repeated, at one to four places."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from((1, 2, 4, 16, 256))))
        kind = draw(st.integers(0, 5))
        if kind == 0:
            content = content[:start]
        elif kind == 1:
            content = (
                content[:start]
                + bytes(byte ^ draw(st.integers(1, 255)) for byte in content[start : start + 2])
                + content[start + 2 :]
            )
        elif kind == 2:
            content = content[:start] + draw(st.sampled_from((b"\0", b"\xff"))) * (end - start) + content[end:]
        elif kind == 3:
            content = content[:start] + content[end:]
        elif kind == 4:
            content = content[:end] + content[start:]
        else:
            content = content[:start] + draw(st.binary(max_size=16)) + content[end:]
    return content


def _changed_once(draw: st.DrawFn, value: Any) -> Any:
    inner = draw(st.integers(0, 9)) > 0
    if isinstance(value, dict) and value and inner:
        key = draw(st.sampled_from(sorted(value, key=str)))
        rest = {name: one for name, one in value.items() if name != key}
        kind = draw(st.integers(0, 9))
        if kind == 0:
            return rest
        if kind == 1:
            return {**rest, draw(texts): value[key]}
        return {name: _changed_once(draw, one) if name == key else one for name, one in value.items()}
    if isinstance(value, list) and value and inner:
        k = draw(st.integers(0, len(value) - 1))
        kind = draw(st.integers(0, 9))
        if kind == 0:
            return value[:k] + value[k + 1 :]
        if kind == 1:
            return value[: k + 1] + value[k:]
        return [*value[:k], _changed_once(draw, value[k]), *value[k + 1 :]]
    return draw(_likes_of(value))


def _likes_of(value: Any) -> st.SearchStrategy[Any]:
    """Any value, or one of the same kind, which is likelier to be let in further."""
    if isinstance(value, str):
        return values | texts | st.just(value + " ") | st.just(value.upper())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return values | st.sampled_from(NUMBERS) | st.integers(0, 9) | st.floats(0, 1)
    return values
