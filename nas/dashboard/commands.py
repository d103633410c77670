"""The commands that apply to a study or an architecture, ready for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from nas.report.candidates import Candidate


@dataclass(frozen=True)
class Means:
    """What can be done here with the networks of a study.

    Attributes:
        devices: those its networks can be timed on, as `--device` takes them; `""` where the study names no other.
        space: file of its space where commands must name it.
    """

    devices: tuple[str, ...] = ()
    space: str | None = None


@dataclass(frozen=True)
class Weights:
    """What can be done here with one architecture's network.

    Attributes:
        inherited: whether the supernet that has its weights lies here.
        retrained: whether its own weights lie here.
        begun: whether it is being retrained or was.
    """

    inherited: bool = False
    retrained: bool = False
    begun: bool = False


def of_study(study: str, means: Means | None, storage: str | None) -> list[str]:
    """What there is to do with a study.

    Args:
        means: None where no network is behind its architectures, or its space is not found.
        storage: URL to name in the commands; None where the default is meant.
    """
    lines = [_line(["nas", *words], [study], storage) for words in (["study", "show"], ["front"], ["report"])]
    timed = [[f"--study={study}", *_options(means, each)] for each in (means.devices if means else ())]
    lines += [_line(["nas", "measure", *words], [], storage) for words in timed]
    return [*lines, _line(["nas", "reproduce"], [study], storage)]


def of_arch(
    study: str, candidate: Candidate, means: Means | None, weights: Weights, storage: str | None
) -> list[str]:
    """What there is to do with one architecture of a study.

    Args:
        means: None where it has no network, or one that cannot be built here.
    """
    named = [name_of(study, candidate)]
    lines = [_line(["nas", "show"], named, storage)]
    if means is None:
        return lines
    if candidate.number is not None:
        lines += [_line(["nas", "measure", *_options(means, each)], named, storage) for each in means.devices]
        if not weights.begun:
            lines.append(_line(["nas", "retrain", *_options(means)], named, storage))
    if weights.inherited:
        lines.append(_line(["nas", "export", *_options(means)], named, storage))
    if weights.retrained:
        lines.append(_line(["nas", "export", "--weights=retrained", *_options(means)], named, storage))
    return lines


def name_of(study: str, candidate: Candidate) -> str:
    """`STUDY/NUMBER` or `STUDY/PRESET`, as commands take them; the arch id of a preset that would be misread."""
    if candidate.number is not None:
        return f"{study}/{candidate.number}"
    misread = "/" in candidate.name or candidate.name.isdecimal()
    return candidate.arch_id if misread else f"{study}/{candidate.name}"


def _options(means: Means | None, device: str = "") -> list[str]:
    space = [f"--space={means.space}"] if means and means.space else []
    return [*space, *([f"--device={device}"] if device else [])]


def _line(command: Sequence[str], names: Sequence[str], storage: str | None) -> str:
    options = ["--storage", storage] if storage is not None else []
    apart = ["--"] if any(name.startswith("-") for name in names) else []
    return shlex.join([*command, *options, *apart, *names])
