"""More of what is fuzzed: folders of pictures, checkpoints, saved pipelines, baselines, caches of detections."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from safetensors.torch import save

from amdm.checkpoints.catalogue import file_named
from amdm.checkpoints.convert import convert_diffusers_folder, convert_migc_file
from amdm.checkpoints.unpickle import read_checkpoint, tensors_of
from amdm.checkpoints.weights_folder import record, require
from amdm.errors import InputError
from amdm.pipeline import AMDMPipeline
from bench.benchmark import score_run
from bench.defaults import images_job
from bench.detectors.cache import CACHE_FILE
from bench.detectors.detector import DetectorOptions
from bench.generators.folder import find_images
from bench.import_images import score_images
from bench.job.plan import Plan
from bench.layouts.readers import read_layouts
from bench.report.gate import check_regression, make_baseline
from tests.fuzz.hostile import changed, mutated, texts
from tests.fuzz.target import BOXES, Target, as_json, pictures

LAYOUTS = {str(k): {"caption": f"a photo of {k}", "image_id": f"{k:06}", "segment": BOXES} for k in range(3)}
WEIGHT = file_named("sd14-unet")
MIGC_KEY = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.migc.norm.weight"
MIGC_OURS = "mid_block.attentions.0.transformer_blocks.0.attn2.processor.migc.norm.weight"
STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.arange(6.0, 12.0).reshape(2, 3)}
PICKLES = (
    b"\x80\x02cos\nsystem\nX\x0c\x00\x00\x00touch pwned!\x85R.",
    b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R.",
    b"\x80\x02}X\x01\x00\x00\x00acomegaconf.dictconfig\nDictConfig\n)\x81}X\x01\x00\x00\x00bK\x01sbs.",
    b"\x80\x02}X\x01\x00\x00\x00actorch.nn.modules.linear\nLinear\nK\x02K\x02\x86Rs.",
    b"\x80\x02c__builtin__\nbytearray\n\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40\x85R.",
    b"\x80\x02}()q\x00" + b"".join(b"h%ch%c\x86q%c" % (k, k, k + 1) for k in range(41)) + b"u.",
    b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00]\x94(h\x00h\x00h\x00e.",
)
"""Data that a checkpoint's pickle may hold; places in them are changed as well."""


def file_targets(run: Path) -> dict[str, Target]:
    """By name; ``run`` is a whole run folder, beside which what these need is put."""
    layouts, saved, baseline = run.parent / "set.json", run.parent / "saved", run.parent / "baseline.json"
    layouts.write_bytes(as_json(LAYOUTS))
    AMDMPipeline.from_pretrained("mini").save_pretrained(saved)
    make_baseline(run, baseline, "a start")
    stored = json.loads(baseline.read_text())
    index = json.loads((saved / "model_index.json").read_text())
    checkpoint = _checkpoint({"state_dict": {MIGC_KEY: STATE["a"]}, "epoch": 1})
    return {
        "image folders": Target(_folders(), lambda case, folder: _image_folder(layouts, case, folder), 4),
        "mappings": Target(mutated(_mapping()) | _rows(), lambda case, folder: _mapped(layouts, case, folder), 8),
        "checkpoints": Target(mutated(checkpoint), _migc_file, 10),
        "pickles": Target(
            st.sampled_from((*PICKLES, pickle.dumps({}, 2))).flatmap(lambda one: mutated(one) | st.just(one)),
            _pickle,
            10,
        ),
        "safetensors": Target(mutated(save(STATE)), _diffusers_folder, 8),
        "altered weights": Target(mutated(save(STATE)) | st.just(_swapped()), _altered, 4),
        "saved pipelines": Target(changed(index), lambda case, folder: _saved(saved, case, folder), 1),
        "baselines": Target(changed(stored), lambda case, folder: _baseline(run, case, folder), 2),
        "caches": Target(mutated((run / CACHE_FILE).read_bytes()), lambda case, folder: _cache(run, case, folder), 2),
    }


def _image_folder(layouts: Path, case: list[tuple[str, bytes]], folder: Path) -> None:
    for name, content in case:
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_bytes(content)
        except (OSError, ValueError):
            continue  # the file system itself refuses the name
    (folder / "images").mkdir(exist_ok=True)
    detector = DetectorOptions()
    plan = replace(Plan.resolve(images_job(str(layouts), "theirs", 0, detector.name)), detector=detector)
    places = {"out": folder / "run", "reports": folder / "reports"}
    score_images(folder / "images", plan, **places, report=lambda line: None)


def _mapped(layouts: Path, case: bytes, folder: Path) -> None:
    for name in ("one.png", "two.png", "three.jpg"):
        (folder / name).touch()
    (folder / "mapping.csv").write_bytes(case)
    find_images(folder, read_layouts(layouts), folder / "mapping.csv")


def _migc_file(case: bytes, folder: Path) -> None:
    (folder / "migc.ckpt").write_bytes(case)
    (made,) = convert_migc_file(folder / "migc.ckpt", folder / "made", {MIGC_OURS: STATE["a"]})
    assert made.is_relative_to(folder)


def _pickle(case: bytes, folder: Path) -> None:
    """The same bytes as the pickle of a checkpoint, and as a file of their own."""
    path = folder / "bad.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bad/data.pkl", case)
        archive.writestr("bad/version", b"3\n")
        archive.writestr("bad/byteorder", b"little")
    try:
        content = read_checkpoint(path, stand_ins=True)
        tensors_of(content, file=path)
    finally:
        path.write_bytes(case)
        try:
            read_checkpoint(path, stand_ins=True)
        except InputError:
            pass
        else:
            raise AssertionError("a bare pickle was read")


def _diffusers_folder(case: bytes, folder: Path) -> None:
    path = folder / "source" / "unet" / "diffusion_pytorch_model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(case)
    convert_diffusers_folder(folder / "source", folder / "made", {"unet": STATE})


def _altered(case: bytes, folder: Path) -> None:
    """Weights of the same size and shapes with other values: only the digest can tell."""
    path = folder / WEIGHT.place
    path.parent.mkdir(parents=True)
    path.write_bytes(save(STATE))
    record(folder, str(WEIGHT.place), "commit")
    path.write_bytes(case)
    os.utime(path, ns=(0, 0))
    require(WEIGHT, folder)
    assert case == save(STATE), "altered weights were let in"


def _saved(saved: Path, case: Any, folder: Path) -> None:
    copy = shutil.copytree(saved, folder / "saved")
    (copy / "model_index.json").write_bytes(as_json(case))
    AMDMPipeline.from_pretrained(copy)


def _baseline(run: Path, case: Any, folder: Path) -> None:
    (folder / "baseline.json").write_bytes(as_json(case))
    check_regression(run, folder / "baseline.json")


def _cache(run: Path, case: bytes, folder: Path) -> None:
    shutil.copytree(run, folder / "run")
    (folder / "run" / CACHE_FILE).write_bytes(case)
    score_run(folder / "run", 1, again=True)


def _folders() -> st.SearchStrategy[list[tuple[str, bytes]]]:
    own = st.tuples(st.sampled_from(("x_", "a/b_", "anno_", "")), st.sampled_from(sorted(LAYOUTS)))
    named = own.map(lambda one: f"{one[0]}{one[1]}.png")
    odd = texts.map(lambda text: text.replace("/", "_")[:100] + "_0.png")
    content = st.sampled_from(pictures()).flatmap(lambda one: st.just(one) | mutated(one)) | st.binary()
    return st.lists(st.tuples(named | odd, content), max_size=4)


def _mapping() -> bytes:
    return b"file,key\none.png,0\ntwo.png,1\nthree.jpg,2\n"


def _rows() -> st.SearchStrategy[bytes]:
    row = st.tuples(texts | st.just("one.png"), texts | st.just("0")).map(",".join)
    return st.lists(row, max_size=3).map(lambda rows: "\n".join(["file,key", *rows]).encode("utf-8", "surrogatepass"))


def _checkpoint(content: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _swapped() -> bytes:
    return bytes(save({"a": STATE["b"], "b": STATE["a"]}))
