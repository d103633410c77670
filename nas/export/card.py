"""The model card beside an exported model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from nas import __version__
from nas.export.quantize import CALIBRATION
from nas.metrics import Metric
from nas.plugins.records import identity, used
from nas.printable import code_span, markdown
from nas.report.units import described, title

if TYPE_CHECKING:
    from nas.export.formats import ExportFormat
    from nas.export.source import Source


@dataclass(frozen=True)
class Check:
    """How an exported file compares with PyTorch.

    Attributes:
        images: test images compared on.
        difference: largest difference of a score.
        agreement: share of images with the same answer, in 0..1.
        accuracy: top-1 of the exported file on them, in 0..1.
        before: that of the network before it was quantised; None where it was not.
    """

    images: int
    difference: float
    agreement: float
    accuracy: float
    before: float | None = None

    def __str__(self) -> str:
        return (
            f"{self.images} test images: largest difference of a score {self.difference:.2g}, same answer on "
            f"{100 * self.agreement:.4g} %"
        )


def quantised(check: Check) -> str:
    """What 8 bits changed: `top-1 81.2 % before, 80.9 % after`."""
    before = check.before or 0.0
    return f"top-1 {100 * before:.1f} % before, {100 * check.accuracy:.1f} % after"


def card_text(
    source: Source,
    form: type[ExportFormat],
    metrics: Mapping[str, Metric],
    check: Check | None,
    model: str,
    usage: str,
) -> str:
    """The card in Markdown."""
    settings, data = source.plan.settings, source.data
    scale = settings.train.resolution_scale
    numbers = [
        f"| {markdown(title(name))} | {markdown(described(metric))} | {markdown(metric.detail)} |"
        for name, metric in metrics.items()
    ]
    decisions = ", ".join(markdown(f"{name} {value}") for name, value in source.arch.values.items())
    made = dict.fromkeys(("torch", *form.packages, *(form.quantisers if _quantised(check) else ())))
    packages = ", ".join([f"nas {__version__}", *(f"{name} {version(name)}" for name in made)])
    labels = ", ".join(map(markdown, data.bundle.class_names[:50]))
    return f"""# {source.arch.id}

A network of space {code_span(source.plan.space.name)} (hash {source.plan.space.hash}), study
{code_span(source.plan.name)}.

* **File**: `{model}` ({form.name}); `{usage}` loads and runs it. Weights of the network before its
  batch norms were folded: `{source.arch.id}.safetensors`; decisions: `arch.json`.
* **Input**: images in 0..1, {_pixels(source)}, channels first,
  {"any number at once" if form.dynamic else "one at a time"}; normalisation is part of the file.
* **Output**: scores of {data.classes} classes: {labels}{" …" if data.classes > 50 else ""}.
{_compared(form, check)}
* **Weights**: {source.told}.
* **Recipe**: {source.recipe}.
{_about_int8(check)}* **Data**: {_data(source)}.
* **Licence of the data**: {markdown(data.bundle.licence or "none is stated in it; ask whoever made the images")}.
* **Licence of the weights**: {_of_weights(source)}
* **Resolution**: trained and exported at {scale:g} times the deployment resolution of the space. MACs, parameters,
  memory and latency below refer to the deployment resolution and the deployment input's classes.
* **Made with**: {packages}.
{_plugins()}
| metric | value | what it refers to |
|---|---|---|
{chr(10).join(numbers)}

Decisions: {decisions}.
"""


def _plugins() -> str:
    """Code of somebody's own that the network or its training came from: without it, it cannot be built again."""
    named = [
        f"{code_span(name)} ({markdown(identity(facts))}: {markdown(', '.join(facts['provides']))})"
        for name, facts in used().items()
    ]
    return (
        f"* **Plug-ins**: {'; '.join(named)}. To build the network again in nas, load the same.\n"
        if named
        else ""
    )


def _pixels(source: Source) -> str:
    """The size of the input, and how images were brought to it."""
    (h, w), first, spec = source.size, source.data.side, source.plan.settings.data.spec
    crop = (
        "upright, the middle square, 7/8 of an image's shorter side, "
        if spec.startswith(("imagefolder", "hf"))
        else ""
    )
    steps = "" if first == h == w else f" to {first} × {first} and once more"
    return f"{h} × {w} pixels ({crop}resized bicubically{steps})"


def _compared(form: type[ExportFormat], check: Check | None) -> str:
    if check is None:
        return (
            f"* **Not run**: {form.name} does not run on the machine that made the file, so it was converted and not\n"
            "  compared with PyTorch, and the program was not tried. Compare some scores before you rely on it."
        )
    return (
        f"* **Compared with PyTorch** before it was written, on {check};\n"
        f"  top-1 of the file on them {100 * check.accuracy:.1f} %."
    )


def _data(source: Source) -> str:
    data = source.data
    prints = f"; fingerprint of its files' names and lengths {data.content}, of their contents {data.digest}"
    known = prints if data.content else ""
    return f"{markdown(data.name)}, {data.count('train'):,} training and {data.count('test'):,} test images{known}"


def _of_weights(source: Source) -> str:
    teachers = f" and to imitate {markdown(', '.join(source.teachers))}" if source.teachers else ""
    others = " and those of the teachers" if teachers else ""
    return (
        f"nas, which is Apache-2.0, claims none. They were trained on these data alone{teachers}, from\n"
        f"  random numbers: what the terms of the data{others} ask of models that learnt from them holds for them."
    )


def _quantised(check: Check | None) -> bool:
    return check is not None and check.before is not None


def _about_int8(check: Check | None) -> str:
    if check is None or not _quantised(check):
        return ""
    return (
        "* **Quantised**: weights and activations to 8 bits by the runtime's own post-training quantiser,\n"
        f"  calibrated on {CALIBRATION} training images; {quantised(check)}, on the same test images.\n"
    )
