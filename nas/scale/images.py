"""Every machine loads the images itself; results are those of one run only if all have the same."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from nas.errors import NasError
from nas.pipeline.data import RunData, changed_fingerprint


def check_images(data: RunData, wanted: Mapping[str, Any]) -> None:
    """Compare this machine's images with the fingerprints in `wanted`; see `changed_fingerprint`.

    Raises:
        NasError: they are others.
    """
    if changed_fingerprint(data, wanted) is not None:
        raise NasError(
            f"the images of {data.name} on {socket.gethostname()} are not those that the run was started with; "
            "copy them there, or put them where all machines reach them by one path."
        )
