"""Networks to distil from, by the name that a setting gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from nas.errors import NasError, unprovided
from nas.pipeline.presets import find_preset, study_name
from nas.pipeline.retrained import RetrainFolder, folder_of
from nas.plugins.content import module_of
from nas.settings import RunSettings
from nas.supernet.network import build


def _retrained(name: str) -> torch.nn.Module:
    """The network of a preset, `SPACE:PRESET`, that `nas retrain` trained here."""
    preset = find_preset(name)
    kept = RetrainFolder(folder_of(study_name(preset), preset.arch.id), name).read()
    settings = RunSettings.model_validate(kept.card["settings"])
    scale = settings.train.resolution_scale
    network = build(preset.space, preset.arch, num_classes=int(kept.card["classes"]), seed=None, scale=scale)
    network.load_state_dict(kept.tensors(), assign=True)
    return network.requires_grad_(False)


TEACHERS: dict[str, Callable[[str], torch.nn.Module]] = {"retrained": _retrained}
"""By prefix; plug-ins register more."""


def teachers(names: Sequence[str]) -> list[torch.nn.Module]:
    """Teacher networks: `PREFIX:REST` of a registered teacher, or `MODULE:FUNCTION` of a module given as a plug-in.

    A name is a setting, and settings stand in YAML files and databases: none of them has a module imported.

    Raises:
        NasError: nobody provides that name, it fails, or it gives no `torch.nn.Module`.
    """
    return [_teacher(name) for name in names]


def _teacher(name: str) -> torch.nn.Module:
    try:
        network = _maker(name)()
    except NasError:
        raise
    except Exception as error:
        raise NasError(f"train.teachers: {name!r} cannot be used: {type(error).__name__}: {error}.") from None
    if not isinstance(network, torch.nn.Module):
        raise NasError(f"train.teachers: {name!r} gives a {type(network).__name__}, not a torch.nn.Module.")
    return network


def _maker(name: str) -> Callable[[], object]:
    prefix, _, rest = name.partition(":")
    if prefix in TEACHERS:
        return lambda: TEACHERS[prefix](rest)
    module = module_of(prefix)
    if module is None:
        raise NasError(f"train.teachers: {unprovided('teacher', name, TEACHERS)}")
    made = getattr(module, rest, None)
    if not callable(made):
        raise NasError(
            f"train.teachers: the plug-in {prefix!r} has no function {rest!r}. Write {prefix}:FUNCTION."
        )
    return made
