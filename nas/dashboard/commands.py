"""The commands that apply to a study or an architecture, ready for a shell."""

from __future__ import annotations

from dataclasses import dataclass

from nas.report.candidates import Candidate
from nas.shell import command_line


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
    lines = [
        command_line(["nas", *words], [study], storage)
        for words in (["study", "show"], ["front"], ["report"])
    ]
    timed = [[f"--study={study}", *_options(means, each)] for each in (means.devices if means else ())]
    lines += [command_line(["nas", "measure", *words], [], storage) for words in timed]
    return [*lines, command_line(["nas", "reproduce"], [study], storage)]


def of_arch(
    study: str, candidate: Candidate, means: Means | None, weights: Weights, storage: str | None
) -> list[str]:
    """What there is to do with one architecture of a study.

    Args:
        means: None where it has no network, or one that cannot be built here.
    """
    named = [name_of(study, candidate)]
    lines = [command_line(["nas", "show"], named, storage)]
    if means is None:
        return lines
    if candidate.number is not None:
        lines += [
            command_line(["nas", "measure", *_options(means, each)], named, storage) for each in means.devices
        ]
        if not weights.begun:
            lines.append(command_line(["nas", "retrain", *_options(means)], named, storage))
    if weights.inherited:
        lines.append(command_line(["nas", "export", *_options(means)], named, storage))
    if weights.retrained:
        lines.append(command_line(["nas", "export", "--weights=retrained", *_options(means)], named, storage))
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
