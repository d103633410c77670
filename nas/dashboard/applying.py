"""Which commands apply to a study's networks: what of them there is on this machine."""

from __future__ import annotations

from nas import content
from nas.dashboard.commands import Means, Weights
from nas.dashboard.finding import Finder
from nas.errors import NasError
from nas.report.candidates import Candidate
from nas.store import StudyRow


def means_of(finder: Finder, study: StudyRow) -> Means | None:
    """What can be done with a study's networks; None where it has none, or its space is not found."""
    try:
        space = finder.space(study)
    except NasError:
        return None
    if space.blueprint is None:
        return None
    return Means(_profiled(study), finder.file(study))


def means_for(finder: Finder, study: StudyRow, candidate: Candidate) -> Means | None:
    """The same for one architecture: None for a preset outside the space, too, which has no weights to take."""
    from nas.space.batch import Arch

    means = means_of(finder, study)
    if means is None or candidate.number is not None:
        return means
    space = finder.space(study)
    return means if space.contains(Arch(space, dict(candidate.arch))) else None


def weights_of(study: StudyRow, arch_id: str) -> Weights:
    """Weights of an architecture that lie where commands would look for them."""
    from nas.pipeline import retrained, supernet_card
    from nas.pipeline.plan import study_folder

    own = retrained.folder_of(study.name, arch_id)
    supernet = study_folder(str(study.config.get("supernet") or study.name))
    return Weights(
        (supernet / supernet_card.CARD).is_file(),
        (own / retrained.CARD).is_file(),
        (own / retrained.BEGUN).is_file(),
    )


def _profiled(study: StudyRow) -> tuple[str, ...]:
    """The devices of a study that `nas device profile` made; others cannot be timed."""
    from nas.latency.profiling.folder import STATE

    names = [str(name) for name in study.config.get("devices") or []]
    found = []
    for name in names:
        try:
            folder = content.find("devices", name)
        except NasError:
            continue
        if (folder / STATE).is_file():
            found.append(name if len(names) > 1 else "")
    return tuple(found)
