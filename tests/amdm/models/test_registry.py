"""The registry of models: every line leads somewhere, and settings are the options of the class that takes them."""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path

import pytest

from amdm.checkpoints.catalogue import file_named
from amdm.errors import InputError
from amdm.loading import fresh_models
from amdm.models.full_size import public_weights
from amdm.models.registry import MODELS, model_spec, settings_type
from amdm.models.settings import ModelSettings


@pytest.mark.parametrize("name", MODELS)
def test_every_line_leads_to_a_model_with_its_settings_and_files(name: str) -> None:
    spec = model_spec(name)
    assert spec.kind.name == name
    options = inspect.signature(spec.kind).parameters
    own = settings_type(name).model_fields.keys() - ModelSettings.model_fields.keys()
    assert own <= options.keys()
    for option in own:
        assert settings_type(name).model_fields[option].default == options[option].default
    assert [file_named(file).name for file in public_weights(name).names]


def test_the_mini_world_has_the_models_whose_spec_says_so() -> None:
    named = [name for name in MODELS if model_spec(name).mini is not None]
    models = fresh_models("mini", ()).models
    assert list(models) == named and all(models[name].name == name for name in named)
    with pytest.raises(InputError, match=r"unknown mini model 'gligen'; .*there are: stable_diffusion, interactdiff"):
        fresh_models("mini", ["gligen"])


def test_the_contract_that_models_know_nothing_of_each_other_lists_them_all() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {one["name"]: one for one in project["tool"]["importlinter"]["contracts"]}
    listed = contracts["models know nothing of each other"]["modules"]
    assert set(listed) == {one.spec.partition(":")[0] for one in MODELS.values()}


def test_a_name_that_is_not_registered_is_refused() -> None:
    for find in (model_spec, settings_type, public_weights):
        with pytest.raises(InputError, match=r"unknown model 'migcc'; did you mean migc\?"):
            find("migcc")
