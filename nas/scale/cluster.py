"""Connecting to Ray: a cluster by its address, or a local one that starts by itself."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nas.errors import NasError

LOCAL = "local"
LOOPBACK = "127.0.0.1"
_SWITCH = "ENABLE_RAY_CLUSTER"
KNOCK_S = 10.0


@dataclass(frozen=True)
class Origin:
    """Machine and folder of a driver."""

    host: str
    folder: str

    @classmethod
    def here(cls) -> Self:
        """This process's."""
        return cls(socket.gethostname(), str(Path.cwd()))

    @property
    def near(self) -> bool:
        """Whether this process is on the driver's machine."""
        return socket.gethostname() == self.host

    def enter(self) -> None:
        """Make relative paths mean the driver's, if this process is on its machine."""
        if self.near:
            os.chdir(self.folder)


def alive(ray: Any) -> list[dict[str, Any]]:
    """The machines of the cluster that can be reached."""
    return [node for node in ray.nodes() if node.get("Alive")]


@contextmanager
def connected(address: str = LOCAL, option: str = "--address") -> Iterator[Any]:
    """A connection to Ray; the module `ray`. One that was there before is used and left open.

    Args:
        address: `local` starts Ray on this machine for as long as the connection lasts; `auto` finds a cluster
            this machine belongs to; `HOST:PORT` of a head, from a machine of its cluster; `ray://HOST:PORT`
            from anywhere (needs `ray[client]`).
        option: of the command line that the address was given by, for messages.

    Raises:
        NasError: Ray is not installed, or there is no cluster at the address.
    """
    ray = _ray()
    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "namespace": "nas"}
    options["address"] = address
    # Processes that share cores must not spin while their threads wait for each other.
    options["runtime_env"] = {"env_vars": {"OMP_WAIT_POLICY": "PASSIVE"}}
    if address == LOCAL:
        options["include_dashboard"] = False
        options["_node_ip_address"] = LOOPBACK
    else:
        _knock(address, option)
    try:
        with _alone(ray) if address == LOCAL else nullcontext():
            ray.init(**options)
    except Exception as error:  # a part of Ray that does not start in time is told by a bare Exception
        raise NasError(_explained(address, str(error), option)) from None
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _alone(ray: Any) -> Iterator[None]:
    """Meanwhile Ray takes 127.0.0.1 for what it is, and its services listen there alone.

    Else it replaces the address by that of the network, and listens on all interfaces: whoever reaches it can run
    programs. On Windows and macOS it does not, and this switch is what it looks at.
    """
    constants = ray._private.ray_constants
    before = getattr(constants, _SWITCH, None)
    setattr(constants, _SWITCH, False)
    try:
        yield
    finally:
        setattr(constants, _SWITCH, before)


def _knock(address: str, option: str) -> None:
    """Fail at once where nothing listens; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not host or not port.isdigit():
        raise NasError(f"{address!r} is no address of a Ray cluster: auto, HOST:PORT or ray://HOST:PORT.")
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()
    except OSError as error:
        raise NasError(_explained(address, str(error), option)) from None


def _ray() -> Any:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise NasError('Ray is not installed; pip install "ray[tune]".') from None
    return ray


def _explained(address: str, error: str, option: str) -> str:
    first = error.strip().splitlines()[0].rstrip(".") if error.strip() else "no reason given"
    if address.startswith("ray://"):
        hint = (
            'Addresses with ray:// need pip install "ray[client]" here and on the head, its client port, and the '
            "cluster's token where it asks for one (RAY_AUTH_MODE=token)."
        )
    elif address == LOCAL:
        hint = "Ray could not start on this machine; `nas doctor` may say more."
    else:
        if address == "auto":  # Ray's own words name options of other programs
            first = "none is running that this machine belongs to"
        alone = "give --ray local" if option == "--ray" else f"leave {option} out"
        hint = f"Start a head with `ray start --head`, or {alone} for this machine alone."
    return f"no Ray at {address!r}: {first}. {hint}"
