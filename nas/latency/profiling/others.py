"""The spaces of a folder's networks: the one profiled now, and those that were before it."""

from __future__ import annotations

from collections.abc import Callable

from nas.errors import NasError
from nas.latency.profiling.folder import DeviceFolder
from nas.space.load import load_space
from nas.space.space import Space


def spaces_of(folder: DeviceFolder, space: Space, warn: Callable[[str], None]) -> dict[str, Space]:
    """Spaces by name whose networks the fit learns from.

    Args:
        folder: with networks of any number of spaces, and where those were read from.
        space: the one profiled now.
        warn: told of networks that cannot be learned from, because their space is not found.
    """
    found = {space.name: space}
    for name in folder.networks.spaces:
        if name == space.name:
            continue
        source = folder.spaces.get(name, name)
        try:
            other = load_space(source)
        except NasError as error:
            warn(f"the {_count(folder, name)} timed networks of {name!r} are left out of the fit: {error}")
            continue
        if other.name == name:
            found[name] = other
        else:
            warn(
                f"the {_count(folder, name)} timed networks of {name!r} are left out of the fit: {source} is the space "
                f"{other.name!r} now"
            )
    return found


def _count(folder: DeviceFolder, space: str) -> int:
    return sum(name == space for name, _ in folder.networks.entries)
