"""Saved pipelines on the Hugging Face Hub: brought here, and put there with a model card."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from amdm.components import INDEX
from amdm.errors import InputError
from amdm.own_unets import PROFILE as OWN_PROFILE
from amdm.serialization import read_index

FILES = ("*.json", "*.safetensors", "*.txt")
_OF_A_LAYOUT = """from amdm import AMDMPipeline, Instance, Layout

pipe = AMDMPipeline.from_pretrained("{}")
layout = Layout("a photo of a red circle ", (Instance("a red circle", (0.1, 0.1, 0.6, 0.6)),))
pipe(layout).images[0].save("picture.png")"""
_OF_A_CAPTION = """from amdm import AMDMPipeline

pipe = AMDMPipeline.from_pretrained("{}")
pipe("a lighthouse at dusk").images[0].save("picture.png")"""
_LAYOUT_TAG = "\n- layout-to-image"
_SHARED = "`unet` is the base that they share; a model's folder holds what it adds."
_WHOLE = "The UNets lie in `unet`, `unet_2` and so on, each as diffusers alone reads it."
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


def is_repository(name: str) -> bool:
    """Whether it has the form ``user/name``."""
    return _REPOSITORY.fullmatch(name) is not None


def lora_file(place: str | os.PathLike[str], weight_name: str | None, revision: str | None) -> Path:
    """The .safetensors file of that name, in that folder or in that repository; the only one, where none is named.

    Raises:
        InputError: there is none, or there are several; a revision of what is no repository, a name in what is a file.
    """
    folder = Path(place)
    if not folder.exists() and folder.suffix != ".safetensors" and is_repository(str(place)):
        folder = snapshot(str(place), revision, files=(weight_name or "*.safetensors",))
    elif revision is not None:
        raise InputError("is of a repository on the Hub; what lies here has none", file=folder, field="revision")
    if not folder.is_dir():
        if weight_name is not None:
            raise InputError("is of a folder or a repository, and this is neither", file=folder, field="weight_name")
        return folder
    if weight_name is not None:
        return folder / weight_name
    found = sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found[:5]) or "none"
        raise InputError(f"is needed: of weight files there are: {names}", file=folder, field="weight_name")
    return found[0]


def pipeline_folder(
    repo_id: str,
    revision: str | None,
    cache_dir: str | os.PathLike[str] | None,
    local_files_only: bool,
    token: str | bool | None,
) -> Path:
    """A folder with a saved pipeline of the Hub. Its index comes first: another pipeline may have gigabytes.

    Raises:
        InputError: as :func:`snapshot`, and for what is no pipeline of this kind.
    """
    read_index(snapshot(repo_id, revision, cache_dir, local_files_only, token, files=(INDEX,)))
    return snapshot(repo_id, revision, cache_dir, local_files_only, token)


def snapshot(
    repo_id: str,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    files: Sequence[str] = FILES,
) -> Path:
    """A folder with the repository's files of these patterns, of the cache where they are there already.

    Raises:
        InputError: there is no such repository or revision, or it can neither be reached nor found in the cache.
    """
    try:
        found = huggingface_hub.snapshot_download(
            repo_id,
            revision=revision,
            cache_dir=None if cache_dir is None else Path(cache_dir),
            local_files_only=local_files_only,
            token=token,
            allow_patterns=list(files),
        )
    except LocalEntryNotFoundError as error:
        at = "" if revision is None else f" at {revision}"
        raise InputError(f"{repo_id}{at} is not in the cache, and cannot be reached", field="name_or_path") from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        what = " ".join(str(error).split())[:200]
        raise InputError(f"{repo_id} cannot be brought: {what}", field="name_or_path") from error
    return Path(found)


def upload(folder: Path, repo_id: str, private: bool | None, token: str | None, commit_message: str) -> str:
    """Put a folder there, in a repository that is made where there is none; the address of the commit.

    Raises:
        InputError: the server refuses, or cannot be reached.
    """
    client = huggingface_hub.HfApi(token=token)
    try:
        client.create_repo(repo_id, private=private, exist_ok=True)
        return str(client.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=commit_message))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        what = " ".join(str(error).split())[:200]
        raise InputError(f"{repo_id} cannot be written: {what}", field="repo_id") from error


def model_card(repo_id: str, about: Mapping[str, Any], models: Mapping[str, str]) -> str:
    """The card's Markdown: what is aggregated, with which settings, and how it is loaded.

    Args:
        about: profile, preset and settings. models: class by name, the target first.
    """
    target, *others = models
    names = "\n".join(f"- `{name}` ({kind})" for name, kind in models.items())
    joined = f"aggregated with {', '.join(others)} while sampling" if others else "alone"
    own = about["profile"] == OWN_PROFILE
    source = "UNets of one latent space" if own else f"preset `{about['preset']}` of the profile `{about['profile']}`"
    return f"""---
library_name: diffusers
pipeline_tag: text-to-image
tags:
- amdm{"" if own else _LAYOUT_TAG}
---
# {about["preset"]}

{target}, {joined}: Aggregation of Multi Diffusion Models ([arXiv:2410.01262](https://arxiv.org/abs/2410.01262)),
{source}.

```python
{(_OF_A_CAPTION if own else _OF_A_LAYOUT).format(repo_id)}
```

Models:

{names}

{_WHOLE if own else _SHARED} `digests.json` has the SHA-256 of every file,
which are checked when the pipeline is loaded. The weights keep the licences of what they were made from.

Settings:

```json
{json.dumps(about["settings"], indent=1, ensure_ascii=False)}
```
"""
