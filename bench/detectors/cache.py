"""Detections and masks on disk, so that judging again loads no model.

Entries carry an HMAC made with a key of the user; entries from elsewhere are ignored.

The key is everything that an answer depends on: the picture's pixels, the category, for a mask the prompt, and the
detector down to weights, thresholds, dtype and code. Several processes may share one file: SQLite serialises the short
transactions, and two processes that answer the same question write the same row.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pycocotools import mask as coco

from amdm.errors import InputError
from amdm.io.files import user_cache
from bench.cocomig.verdict import Detections, Masks
from bench.detectors.detector import DetectionResult, Detector, DetectorFacts, Prompt
from bench.io.sqlite_safety import check_untrusted_sqlite

Made = TypeVar("Made")
CACHE_FILE = "detections.sqlite"
SCHEMA = "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT, mac TEXT) WITHOUT ROWID"
_BUSY_SECONDS = 120


class CachedDetector:
    """A detector that is built only where an answer is not in the cache.

    Args:
        path: the cache, an SQLite file, made where it is absent. One that is damaged (a power failure may do that) is
            begun anew: it only saves time.
        facts: part of every key.
        canvas: see :class:`bench.detectors.detector.Detector`.
        factory: builds the detector.
    """

    def __init__(self, path: Path, facts: DetectorFacts, canvas: int | None, factory: Callable[[], Detector]) -> None:
        self._known_as(facts, canvas, factory)
        self._path = path
        try:
            check_untrusted_sqlite(path)
        except InputError:
            self._remove()
        self._use(_check_schema)

    def _known_as(self, facts: DetectorFacts, canvas: int | None, factory: Callable[[], Detector]) -> None:
        self.name, self.revision, self.canvas = facts.name, facts.revision, canvas
        self._factory = factory
        self._detector: Detector | None = None
        known = json.dumps([facts.model_dump(), canvas, _code()], sort_keys=True)
        self._facts = hashlib.sha256(known.encode()).hexdigest()

    def find(self, images: Sequence[np.ndarray], categories: Sequence[Sequence[str]]) -> list[DetectionResult]:
        """See :class:`bench.detectors.detector.Detector`; asks the detector only where the cache lacks something.

        Then it is asked of the whole batch: an answer depends, in its last bits, on what it was computed with, and must
        not depend on what was judged before.
        """
        digests = [_digest(image) for image in images]
        keys = [[self._key(digest, name) for name in own] for digest, own in zip(digests, categories, strict=True)]
        known = self._read([key for own in keys for key in own], _detections)
        fresh: list[DetectionResult] = []
        if any(key not in known for own in keys for key in own):
            fresh = self._load().find(images, categories)
            found = {
                key: one.detections[name]
                for one, own, names in zip(fresh, keys, categories, strict=True)
                for key, name in zip(own, names, strict=True)
            }
            known |= found
            self.put({key: [one.boxes.tolist(), one.scores.tolist()] for key, one in found.items()})
        return [
            DetectionResult(
                {name: known[key] for name, key in zip(categories[k], keys[k], strict=True)},
                self._segmenter(images[k], digests[k], fresh[k] if fresh else None),
            )
            for k in range(len(images))
        ]

    def _segmenter(
        self, image: np.ndarray, digest: bytes, fresh: DetectionResult | None
    ) -> Callable[[Sequence[Prompt]], list[Masks]]:
        own: dict[bytes, Masks] = {}

        def segment(prompts: Sequence[Prompt]) -> list[Masks]:
            keys = [self._key(digest, one.category, one.box.tolist(), one.best) for one in prompts]
            # Detections made just now have masks of their own; those on disk may be of another batch.
            known = own if fresh is not None else self._read(keys, lambda answer: _masks(answer, image.shape[:2]))
            lacking = {key: one for key, one in zip(keys, prompts, strict=True) if key not in known}
            if lacking:
                wanted = list(dict.fromkeys(one.category for one in lacking.values()))
                (source,) = [fresh] if fresh is not None else self._load().find([image], [wanted])
                made = dict(zip(lacking, source.segment(list(lacking.values())), strict=True))
                known.update(made)
                self.put({key: _encoded(one) for key, one in made.items()})
            return [known[key] for key in keys]

        return segment

    def _load(self) -> Detector:
        if self._detector is None:
            self._detector = self._factory()
        return self._detector

    def _key(self, *parts: Any) -> bytes:
        text = json.dumps([self._facts, *(p.hex() if isinstance(p, bytes) else p for p in parts)])
        return hashlib.sha256(text.encode()).digest()

    def _use(self, work: Callable[[sqlite3.Connection], Made]) -> Made:
        """Do ``work`` on the cache, on a new one where it is damaged.

        Raises:
            sqlite3.Error: the disk is full, or the file cannot be written.
        """
        try:
            return self._try(work)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if not _is_damage(error):
                raise
            self._remove()
            self._try(_check_schema)
            return self._try(work)

    def _remove(self) -> None:
        for path in self._path.parent.glob(f"{self._path.name}*"):
            if path.is_dir():
                raise InputError("is a folder, and no cache", file=path)
            path.unlink(missing_ok=True)

    def _try(self, work: Callable[[sqlite3.Connection], Made]) -> Made:
        with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = OFF")  # what a power failure takes is computed again
            return work(database)

    def _read(self, keys: Sequence[bytes], decode: Callable[[Any], Any]) -> dict[bytes, Any]:
        """Answers that are there; one that is not as it was written counts as absent, and is written anew."""

        def read(database: sqlite3.Connection) -> dict[bytes, str]:
            found = {}
            for key in dict.fromkeys(keys):
                row = database.execute("SELECT answer, mac FROM answers WHERE key = ?", (key,)).fetchone()
                if row is not None and row[1] == _mac(key, row[0]):
                    found[key] = row[0]
            return found

        known = {}
        for key, answer in self._use(read).items():
            try:
                known[key] = decode(json.loads(answer))
            except (ValueError, TypeError, LookupError, RecursionError):
                continue
        return known

    def put(self, answers: dict[bytes, Any]) -> None:
        """Write answers of this detector by their keys; of the same question, the last stays."""
        texts = {key: json.dumps(answer) for key, answer in answers.items()}
        rows = [(key, text, _mac(key, text)) for key, text in texts.items()]

        def write(database: sqlite3.Connection) -> None:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", rows)
            database.execute("COMMIT")

        self._use(write)


class CarriedDetector(CachedDetector):
    """A detector whose answers go into the cache of another machine: it keeps them until they are taken."""

    def __init__(self, facts: DetectorFacts, canvas: int | None, factory: Callable[[], Detector]) -> None:
        self._known_as(facts, canvas, factory)
        self._answers: dict[bytes, Any] = {}

    def taken(self) -> dict[bytes, Any]:
        """The answers since they were last taken, for :meth:`CachedDetector.put`."""
        found, self._answers = self._answers, {}
        return found

    def put(self, answers: dict[bytes, Any]) -> None:
        """Keep answers."""
        self._answers |= answers

    def _read(self, keys: Sequence[bytes], decode: Callable[[Any], Any]) -> dict[bytes, Any]:
        return {}


def _check_schema(database: sqlite3.Connection) -> None:
    """Make the table where there is none.

    Raises:
        sqlite3.DatabaseError: there is anything else; a view could run for ever.
    """
    if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
        database.execute(SCHEMA)
    if database.execute("SELECT sql FROM sqlite_master").fetchall() != [(SCHEMA.replace("IF NOT EXISTS ", ""),)]:
        raise sqlite3.DatabaseError("other tables")


def _is_damage(error: Exception) -> bool:
    """Whether the file is not as it should be; else the disk is full, or the file is in use or cannot be written."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _encoded(masks: Masks) -> dict[str, Any]:
    """Masks as COCO's run lengths."""
    runs = [coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode("ascii") for mask in masks.masks]
    return {"size": list(masks.masks.shape[1:]), "counts": runs, "scores": np.asarray(masks.scores, float).tolist()}


def _masks(answer: Any, size: tuple[int, ...]) -> Masks:
    """Raises ValueError, TypeError or LookupError for what is no such answer."""
    scores = np.asarray(answer["scores"], np.float64)
    if tuple(answer["size"]) != size or not len(scores) or len(scores) != len(answer["counts"]):
        raise ValueError("not masks of this picture")
    masks = [coco.decode({"size": list(size), "counts": counts.encode("ascii")}) for counts in answer["counts"]]
    return Masks(np.stack(masks).astype(bool), scores)


def _detections(answer: Any) -> Detections:
    boxes, scores = (np.asarray(part, np.float32) for part in answer)
    if len(scores) != len(boxes) or not np.isfinite(boxes).all():
        raise ValueError("not detections")
    return Detections(boxes, scores)


def _digest(image: np.ndarray) -> bytes:
    """SHA-256 of shape and pixels, uint8 RGB, as the detector sees them."""
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).digest()


def _mac(key: bytes, answer: object) -> str:
    """HMAC of an entry: a run folder may come from somebody else, and its cache with it."""
    return hmac.digest(_secret(), key + str(answer).encode("utf-8", "surrogatepass"), "sha256").hex()


@cache
def _secret() -> bytes:
    """Of this user on this machine, made when it is first asked for; where it cannot be kept, of this process."""
    fresh = secrets.token_bytes(32)
    try:
        path = user_cache("detections.key")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(fresh)
        except FileExistsError:
            pass
        found = path.read_bytes()
    except (OSError, InputError):  # no home
        return fresh
    return found if len(found) == len(fresh) else fresh


def _code() -> str:
    """SHA-256 of this package's sources: another version may answer otherwise with the same weights."""
    root = Path(str(files("bench.detectors")))
    content = b"".join(path.name.encode() + b"\0" + path.read_bytes() for path in sorted(root.glob("*.py")))
    return hashlib.sha256(content).hexdigest()
