"""Who runs a study: one row for the process that does, so that its state can be told truly after any end.

A process of this machine is alive while the system has one of its number that began when it did; one of another
machine while it was heard from a short while ago. Nothing has to be tidied up after a process that was killed.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, insert, update

from nas.store.models import leases

BEAT_S = 15.0
"""Seconds between two signs of life."""
SILENT_S = 90.0
"""Seconds of silence after which a process of another machine counts as dead: six signs of life that did not come."""
_SAME_START_S = 0.5  # a number is not given anew so soon


@dataclass(frozen=True)
class Lease:
    """What is known of the process that runs a study.

    Attributes:
        token: of whoever took the lease, to tell it from a later one.
        host: name of the machine, for people.
        machine: what tells the machine, since it was started, and the container from all others.
        pid, started: the process and when it began, in seconds, as its system counts them.
        folder: its working directory.
        beat: when it was last heard from.
    """

    token: str
    host: str
    machine: str
    pid: int
    started: float
    folder: str
    beat: datetime

    def is_mine(self) -> bool:
        """Whether this process holds it."""
        return (self.machine, self.pid) == (_machine(), os.getpid()) and _same(self.started, _began(self.pid))

    def is_alive(self) -> bool:
        """Whether the process that took it may still be at work."""
        if self.machine == _machine():
            return _same(self.started, _began(self.pid))
        return (datetime.now(UTC) - self.beat).total_seconds() < SILENT_S

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, in {self.folder}"


def new(token: str) -> Lease:
    """A lease of this process."""
    pid = os.getpid()
    host = socket.gethostname()[:200] or "unknown"
    return Lease(token, host, _machine(), pid, _began(pid) or 0.0, str(Path.cwd()), datetime.now(UTC))


def put(connection: Connection, study_id: int, lease: Lease) -> None:
    """Give the study to a process, whoever had it before."""
    drop(connection, study_id)
    connection.execute(insert(leases), [{"study_id": study_id, **asdict(lease)}])


def drop(connection: Connection, study_id: int) -> None:
    """Nobody runs the study any more."""
    connection.execute(delete(leases).where(leases.c.study_id == study_id))


def beat(connection: Connection, study_ids: Collection[int], token: str) -> None:
    """A sign of life of whoever took leases with that token."""
    mine = (leases.c.study_id.in_(study_ids), leases.c.token == token)
    connection.execute(update(leases).where(*mine).values(beat=datetime.now(UTC)))


def of_row(columns: dict[str, Any]) -> Lease | None:
    """Take the lease out of a row's columns, whose names begin with `lease_`; None where there is none."""
    taken = {key: columns.pop(f"lease_{key}", None) for key in FIELDS}
    return None if taken["token"] is None else Lease(**taken)


FIELDS = tuple(Lease.__dataclass_fields__)


@cache
def _machine() -> str:
    parts = [socket.gethostname()]
    for path in ("/proc/sys/kernel/random/boot_id", "/etc/machine-id"):
        try:
            parts.append(Path(path).read_text(encoding="utf-8").strip())
        except OSError:  # another system than Linux, or one that hides it
            continue
    try:
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        parts.append("")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _began(pid: int) -> float | None:
    """When the process of that number began; None if there is none, or only its remains.

    On Linux in the system's ticks since it was started, which no change of the clock moves.
    """
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
        return None if fields[0] in "ZX" else float(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return None if Path("/proc/self/stat").exists() else _began_elsewhere(pid)


def _began_elsewhere(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def _same(then: float, now: float | None) -> bool:
    return now is not None and abs(then - now) < _SAME_START_S
