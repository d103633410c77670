"""Every setting of a run, with the two named recipes and `--set a.b=c`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nas.errors import NasError, unknown
from nas.values import Flag, Number, Whole, allowed, is_plain, shown

Precision = Literal["auto", "fp32", "bf16", "fp16"]
MANY, LARGE = 10**9, 10**6
SHOWN = 10
BATCHES, SMALLEST_BATCH, LARGEST_BATCH = 10, 4, 50
"""Of `search.batch=0`: at 100 evaluations batches of 10 reached 0.05 more of the hypervolume than batches of 50 did."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class DataSettings(_Strict):
    """What to train and evaluate on.

    Attributes:
        spec: `digits`, `numbers`, `shapes`, `imagefolder:PATH` or `hf:NAME`, with options after `?`.
        search_share: share of the training images held out for the search.
    """

    spec: str = "digits"
    search_share: Number = Field(default=0.15, gt=0, lt=1)


class BankFile(_Strict):
    """Memory banks; see `nas.supernet.sampling.complexity.BankSettings`."""

    capacity: Whole = Field(default=150, ge=2, le=LARGE)
    big_capacity: Whole = Field(default=50, ge=2, le=LARGE)
    refreshes: Whole = Field(default=600, ge=0, le=MANY)
    partial_refreshes: Whole = Field(default=1800, ge=0, le=MANY)


class SamplerSettings(_Strict):
    """Which subnets each step trains.

    Attributes:
        name: `performance` (complexity- and performance-aware, the paper's), `complexity`, `sandwich`, `uniform`,
            `relaxed` (mixtures of the blocks of each position; see `RelaxedSettings`).
        policy: how the level moves.
        subnets: per step, the smallest one included; 1 is possible with `uniform` and `relaxed`.
        drop_path: of the sandwich's largest subnet, the probability with which each block but a stage's first is
            left out of a step.
    """

    name: Literal["performance", "complexity", "sandwich", "uniform", "relaxed"] = "performance"
    policy: Literal["adjacent-step", "adjacent", "random", "cyclic"] = "adjacent-step"
    subnets: Whole = Field(default=4, ge=1, le=1024)
    drop_path: Number = Field(default=0.0, ge=0, lt=1)
    banks: BankFile = BankFile()


class RelaxedSettings(_Strict):
    """Training of relaxed architectures, `sampler.name: relaxed` (EfficientFormer, §4; schedules are not published).

    Attributes:
        noise: on the logits: `gumbel`, or `uniform` in 0..1 as the paper writes it.
        mode: `soft` mixes blocks; in `hard` the likeliest alone counts, with the gradients of the mixture;
            all blocks run in both.
        temperature, final_temperature: of the softmax in the first and the last step; geometric in between.
        lr: of the logits, which have no weight decay.
        warmup: share of the steps in which the logits stand still: a block that has not learned yet looks worse
            than doing nothing, and logits that follow that end in identity everywhere.
        identity_at_most: largest probability that identity may reach, so that every block keeps being trained.
        widths: `one` trains the largest widths alone and ranks their channels afterwards, as the paper does; `all`
            draws them for all subnets of a step but the first.
        latency: weight of the expected latency in the loss, in nats for the latency of the largest network.
    """

    noise: Literal["gumbel", "uniform"] = "gumbel"
    mode: Literal["soft", "hard"] = "soft"
    temperature: Number = Field(default=5.0, ge=1e-3, le=1e3)
    final_temperature: Number = Field(default=0.5, ge=1e-3, le=1e3)
    lr: Number = Field(default=0.01, gt=0, le=100)
    warmup: Number = Field(default=0.2, ge=0, lt=1)
    identity_at_most: Number = Field(default=0.9, gt=0, lt=1)
    widths: Literal["one", "all"] = "one"
    latency: Number = Field(default=0.0, ge=0, le=LARGE)


class ProgressiveSettings(_Strict):
    """Progressive learning (EfficientNetV2, arXiv 2104.00298, §4.2): images and regularisation grow with the training.

    Attributes:
        phases: equal parts of the training; 1: nothing changes.
        share: image side of the first phase over the last's.
        strength: augmentation of the first phase over the last's (RandAugment's magnitude, turns, erasing).
        mix: mixup and cutmix of the first phase over the last's.
    """

    phases: Whole = Field(default=1, ge=1, le=1000)
    share: Number = Field(default=0.45, gt=0.01, le=1)
    strength: Number = Field(default=0.5, ge=0, le=1)
    mix: Number = Field(default=0.0, ge=0, le=1)


class TrainSettings(_Strict):
    """Supernet training (ElasticViT, fact sheet §5).

    Attributes:
        steps: optimizer steps; 0 takes `epochs` over the training split.
        batch: images per step.
        resolution_scale: training resolution over the space's deployment resolution.
        lr, min_lr: for a batch of 512, scaled linearly with the batch; `lr_scaling: none` takes them as they are.
        init: what becomes of a supernet's weights that `--init` gives: `begin` trains on from them, `keep` searches
            them as they are, and trains nothing.
        warmup: share of the steps.
        ema, ema_warmup: decay, and whether it grows as min(decay, (1 + t) / (10 + t)).
        mirror: whether augmentation mirrors half of the images: `true`, `false`, or `auto`, which mirrors unless the
            data are written characters (`digits`, or classes of one character each) or classes that mirroring
            swaps (`left`, `right`).
        mix: mixup and cutmix strength (each), 0 for none.
        progressive: images and regularisation that grow with the training.
        shares: random image sizes: one of these shares of the training resolution for each step; empty: all of it.
        teachers: networks to distil from: `PREFIX:REST` of a plug-in's teacher, or `MODULE:FUNCTION` of a module that
            is given as a plug-in. No setting has a module imported.
        logits: folder in which `nas teach` stored what teachers say of this training's images, instead of teachers.
        checkpoint_every, checkpoint_seconds: steps, and seconds, after which a checkpoint is written: by steps because
            a training that broke down goes back to one of them, by time because a machine may be taken away at any
            moment, and then costs a minute. No result depends on the seconds.
        conflict_every: steps between measurements of gradient conflict, 0 for none.
    """

    init: Literal["begin", "keep"] = "begin"
    steps: Whole = Field(default=0, ge=0, le=MANY)
    epochs: Whole = Field(default=600, ge=1, le=LARGE)
    cooldown_epochs: Whole = Field(default=10, ge=0, le=LARGE)
    batch: Whole = Field(default=96, ge=1, le=LARGE)
    resolution_scale: Number = Field(default=1.0, ge=0.01, le=4)
    lr: Number = Field(default=5e-4, gt=0, le=100)
    min_lr: Number = Field(default=5e-6, ge=0, le=100)
    lr_scaling: Literal["linear", "none"] = "linear"
    warmup_lr: Number = Field(default=1e-6, ge=0, le=100)
    warmup: Number = Field(default=5 / 600, ge=0, lt=1)
    weight_decay: Number = Field(default=0.05, ge=0, le=100)
    clip: Number = Field(default=0.1, gt=0, le=LARGE)
    ema: Number = Field(default=0.99985, gt=0, lt=1)
    ema_warmup: Flag = False
    augment: Literal["paper", "embedded", "none"] = "paper"
    mirror: Flag | Literal["auto"] = "auto"
    mix: Number = Field(default=0.01, ge=0, le=10)
    label_smoothing: Number = Field(default=0.1, ge=0, lt=1)
    progressive: ProgressiveSettings = ProgressiveSettings()
    shares: list[Annotated[Number, Field(gt=0.01, le=1)]] = Field(default=[], max_length=64)
    teachers: list[str] = []
    logits: Annotated[str, Field(max_length=4096)] = ""
    teacher_temperature: Number = Field(default=0.2, ge=1e-3, le=1e3)
    precision: Precision = "auto"
    checkpoint_every: Whole = Field(default=500, ge=1, le=MANY)
    checkpoint_seconds: Number = Field(default=60.0, gt=0, le=1e9)
    conflict_every: Whole = Field(default=0, ge=0, le=MANY)
    sampler: SamplerSettings = SamplerSettings()
    relaxed: RelaxedSettings = RelaxedSettings()


class EvaluateSettings(_Strict):
    """Evaluation of inherited weights.

    Attributes:
        recalibrate: training batches for batch-norm statistics during the search (paper: 64).
        final_recalibrate: and for the final numbers (paper: 64 · (256 // batch)).
        batch: images per batch.
        images: largest number of search images to evaluate on; 0: all.
        stimuli: search images that a strategy which probes networks shows them.
        looks: candidates that `predictor` looks at for each that it evaluates; 0: none.
        look_images, look_calibration: search images that a look classifies, and training images for its batch norms.
    """

    recalibrate: Whole = Field(default=64, ge=1, le=LARGE)
    final_recalibrate: Whole = Field(default=128, ge=1, le=LARGE)
    batch: Whole = Field(default=96, ge=1, le=LARGE)
    images: Whole = Field(default=0, ge=0, le=MANY)
    stimuli: Whole = Field(default=32, ge=2, le=LARGE)
    looks: Whole = Field(default=3, ge=0, le=100)
    look_images: Whole = Field(default=50, ge=1, le=MANY)
    look_calibration: Whole = Field(default=64, ge=1, le=MANY)


class SearchSettings(_Strict):
    """The search.

    Attributes:
        strategy: `predictor`, `nsga2`, `nsga2:elasticvit`, `random`, `slimming`, `contraction`, `exact`, `generative`
            or `nevergrad:OPTIMIZER`.
        n_trials: real evaluations.
        batch: archs asked for at once; 0: a tenth of the trials, from 4 to 50, because a strategy learns after each.
        presets: whether presets of the space that satisfy the constraints are the first trials, at most half of them.
        options: of the strategy, by name.
    """

    strategy: str = "predictor"
    n_trials: Whole = Field(default=500, ge=1, le=MANY)
    batch: Whole = Field(default=0, ge=0, le=LARGE)
    presets: Flag = True
    options: dict[str, Any] = {}

    def batch_of(self, budget: int) -> int:
        """Archs asked for at once in a study that began with a budget of so many trials."""
        return self.batch or min(max(budget // BATCHES, SMALLEST_BATCH), LARGEST_BATCH)


class RunSettings(_Strict):
    """All of a run."""

    recipe: str = "embedded"
    seed: Whole = Field(default=0, ge=0, le=2**63 - 1)
    threads: Whole = Field(default=2, ge=1, le=1024)
    objectives: list[str] = []
    constraints: list[str] = []
    data: DataSettings = DataSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    search: SearchSettings = SearchSettings()


PAPER: dict[str, Any] = {
    "recipe": "paper",
    "search": {"strategy": "nsga2:elasticvit", "n_trials": 10_752, "batch": 256},
}

EMBEDDED: dict[str, Any] = {
    "recipe": "embedded",
    "data": {"spec": "digits"},
    "train": {
        "steps": 220,
        "batch": 32,
        "resolution_scale": 0.125,
        "lr": 1.5e-3,
        "min_lr": 1.5e-5,
        "lr_scaling": "none",
        "warmup": 0.06,
        "ema": 0.99,
        "ema_warmup": True,
        "augment": "embedded",
        "mix": 0.0,
        "label_smoothing": 0.0,
        "checkpoint_every": 110,
        "conflict_every": 22,
        "sampler": {
            "policy": "cyclic",
            "banks": {"capacity": 8, "big_capacity": 4, "refreshes": 3, "partial_refreshes": 9},
        },
    },
    "evaluate": {"recalibrate": 1, "final_recalibrate": 8, "batch": 128, "images": 1024},
    "search": {"strategy": "predictor", "n_trials": 75},
}

RECIPES: dict[str, dict[str, Any]] = {"paper": PAPER, "embedded": EMBEDDED}
WITH_INIT = "init"
"""What a space calls its changes of either recipe where `--init` gives weights."""
WHY: dict[str, str] = {
    "data.search_share": "of few images the search needs more, to tell networks apart",
    "train.steps": "a few hundred steps instead of hundreds of epochs",
    "train.resolution_scale": "training images are a fraction of the deployment resolution",
    "train.sampler.policy": "a walk of so few steps stays away from some levels (studies/elasticvit_sampling)",
    "train.sampler.banks.capacity": "banks of 150 would never be half full, so nothing would be exploited",
    "train.sampler.banks.big_capacity": "banks of 50 would never be half full, so nothing would be exploited",
    "train.sampler.banks.refreshes": "refreshes are spread over the run instead of once an epoch",
    "train.sampler.banks.partial_refreshes": "spread over the run, three for each full one",
    "train.batch": "small images of a small data set",
    "train.lr": "few steps of small batches need larger ones",
    "train.min_lr": "a hundredth of the peak, as published",
    "train.lr_scaling": "the rate is given for the batch that is used",
    "train.augment": "small turns, shifts and scales: the images have 8 by 8 pixels",
    "train.mix": "so few steps cannot afford mixed labels",
    "train.label_smoothing": "so few steps cannot afford smoothed labels",
    "train.checkpoint_every": "twice in a run of minutes",
    "train.conflict_every": "measured for the report; the paper's code does not",
    "train.warmup": "a share of the run that is more than a few steps",
    "train.ema": "an average over 6,700 steps would be the initial weights",
    "train.relaxed.lr": "so few steps need larger ones",
    "train.warmup_lr": "that of the embedded recipe of every space",
    "train.weight_decay": "that of the embedded recipe of every space",
    "train.clip": "that of the embedded recipe of every space",
    "train.ema_warmup": "the average follows the first steps at once: min(d, (1+t)/(10+t))",
}


def make_settings(
    recipe: str,
    layers: Sequence[Mapping[str, Any]] = (),
    assignments: Sequence[str] = (),
) -> RunSettings:
    """Settings of a recipe, changed by nested mappings (a space's own), then by `a.b=c` assignments.

    Raises:
        NasError: unknown recipe, key or a value out of range; names the key and what is allowed.
    """
    if recipe not in RECIPES:
        raise NasError(unknown("recipe", recipe, RECIPES))
    data = deepcopy(RECIPES[recipe])
    for layer in layers:
        _merge(data, layer)
    changes: dict[str, Any] = {}
    for assignment in assignments:
        _merge(changes, _nested(assignment))
    search = data.get("search", {})
    if changes.get("search", {}).get("strategy", search.get("strategy")) != search.get("strategy"):
        search["options"] = {}  # they are the other strategy's
    _merge(data, changes)
    try:
        return RunSettings.model_validate(data)
    except ValidationError as error:
        raise NasError(_message(error)) from None


def assigned(key: str, text: str) -> str:
    """An assignment of a text as it is: `digits:` is no mapping, and ` #2` no comment."""
    return f"{key}={json.dumps(text, ensure_ascii=False)}"


def with_changes(settings: RunSettings, assignments: Sequence[str]) -> RunSettings:
    """Settings changed by `a.b=c` assignments.

    Raises:
        NasError: unknown key or a value out of range.
    """
    data = settings.model_dump()
    for assignment in assignments:
        _merge(data, _nested(assignment))
    try:
        return RunSettings.model_validate(data)
    except ValidationError as error:
        raise NasError(_message(error)) from None


def differences(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Dotted keys whose values differ, with both values."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in [*a, *[k for k in b if k not in a]]:
        left, right = a.get(key), b.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            found.update(differences(left, right, f"{prefix}{key}."))
        elif left != right:
            found[f"{prefix}{key}"] = (left, right)
    return found


def known_keys(model: type[BaseModel] = RunSettings, prefix: str = "") -> list[str]:
    """All dotted keys that `--set` takes."""
    keys = []
    for name, info in model.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            keys += known_keys(annotation, f"{prefix}{name}.")
        else:
            keys.append(f"{prefix}{name}")
    return keys


def _nested(assignment: str) -> dict[str, Any]:
    key, equals, text = assignment.partition("=")
    key = key.strip()
    if not equals or not key:
        raise NasError(f"--set {assignment!r}: write it as key=value, e.g. --set train.steps=100.")
    known = known_keys()
    if key not in known and not key.startswith("search.options."):
        raise NasError(f"--set {assignment!r}: {unknown('key', key, known)}")
    value: Any = _scalar(text.strip())
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def _scalar(text: str) -> Any:
    """The value that a text is as YAML; the text itself where it is none, or nothing plain."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        value = YAML(typ="safe", pure=True).load(text)
        return value if is_plain(value) else text
    except (YAMLError, ValueError, RecursionError, TypeError, AttributeError):
        return text


def _merge(into: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = deepcopy(dict(value) if isinstance(value, Mapping) else value)


def _message(error: ValidationError) -> str:
    """What is wrong with settings, the first ten of them, a line each: key, value and what is allowed."""
    lines = list(dict.fromkeys(_problem(problem) for problem in error.errors()))
    more = f"\n{len(lines)} settings are wrong." if len(lines) > 1 else ""
    return "\n  ".join(lines[:SHOWN]) + more


def _problem(problem: Any) -> str:
    fields = [part for part in problem["loc"] if not str(part).startswith(("literal[", "function-", "bool"))]
    key = ".".join(str(part) for part in fields)
    if problem["type"] == "extra_forbidden":
        return f"setting {key}: {unknown('key', key, known_keys())}"
    held = shown(problem.get("input"))
    return f"setting {key} is {held}; {allowed(RunSettings, fields)} is needed."
