"""Networks by name, without a study: `SPACE:PRESET`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.content import names
from nas.errors import NasError, unknown
from nas.pipeline.metrics import CheapMetrics
from nas.pipeline.plan import RunPlan
from nas.settings import RunSettings, assigned, make_settings
from nas.space.batch import Arch
from nas.space.load import load_space
from nas.space.space import Space

LISTED = 8


@dataclass(frozen=True)
class NamedPreset:
    """A preset of a space.

    Attributes:
        source: name or file of the space.
    """

    space: Space
    source: str
    name: str

    @property
    def arch(self) -> Arch:
        """Its architecture, which may lie outside the space's ranges."""
        return self.space.presets[self.name]


def is_preset(text: str) -> bool:
    """Whether a text is meant as `SPACE:PRESET`, whatever there is: a trial of a study has no colon, or a slash."""
    space, colon, _ = text.rpartition(":")
    return bool(colon) and ("/" not in text or _is_space(space))


def _is_space(text: str) -> bool:
    return text.endswith((".yaml", ".yml")) or text in names("spaces")


def find_preset(text: str) -> NamedPreset:
    """A preset by `SPACE:PRESET`, e.g. `efficientformer:L1`.

    Raises:
        NasError: not of that form, no such space, or no such preset in it.
    """
    source, colon, name = text.rpartition(":")
    if not colon:
        raise NasError(
            meant(text) or f"{text!r}: a space's preset is needed, SPACE:PRESET, e.g. efficientformer:L1."
        )
    space = load_space(source)
    if name not in space.presets:
        raise NasError(f"space {space.name!r}: {unknown('preset', name, space.presets)}")
    if space.blueprint is None:
        raise NasError(f"space {space.name!r} has no network behind it.")
    return NamedPreset(space, source, name)


def meant(text: str) -> str:
    """What to write instead of a space's name alone, or of `SPACE/PRESET`; empty where it is neither."""
    if _is_space(text):
        presets = list(load_space(text).presets)
        if not presets:
            return f"{text!r} is a space, and has no presets; the trials of a study are STUDY/NUMBER."
        known = ", ".join(presets[:LISTED]) + (", …" if len(presets) > LISTED else "")
        return f"{text!r} is a space; name one of its presets, {text}:{presets[0]} (it has {known})."
    source, slash, name = text.rpartition("/")
    if slash and _is_space(source) and name in load_space(source).presets:
        return f"{text!r} is in no study here; the preset of the space {source!r} is {source}:{name}."
    return ""


def study_name(preset: NamedPreset) -> str:
    """What the files of a preset's network are filed under, in the place of a study: `SPACE-PRESET`."""
    return f"{preset.space.name}-{preset.name}"


def plan_of_preset(
    preset: NamedPreset, recipe: str, assignments: Sequence[str] = (), data: str | None = None
) -> RunPlan:
    """The plan of what is done with a preset's network alone.

    Images have the deployment's resolution unless `train.resolution_scale` is among the assignments: published weights
    are of that.

    Raises:
        NasError: an unknown recipe, or a setting that is wrong.
    """
    spec = [assigned("data.spec", data)] if data is not None else []
    whole = ["train.resolution_scale=1", "train.conflict_every=0"]
    layers = [preset.space.recipes.get(recipe, {})]
    settings = make_settings(recipe, layers, [*whole, *spec, *assignments])
    return preset_plan(preset, settings)


def preset_plan(preset: NamedPreset, settings: RunSettings) -> RunPlan:
    """The plan of what is done with a preset's network alone, with these settings."""
    return RunPlan(
        space=preset.space,
        settings=settings,
        objectives=(),
        constraints=(),
        metrics=CheapMetrics(preset.space),
        accuracy_table=None,
        supernet=None,
        name=study_name(preset),
        storage=None,
    )
