"""Boards over ssh, against a real sshd on this machine with keys made on the spot."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from profiling_samples import UNITS

from nas.errors import NasError
from nas.latency.profiling.exports import Exports, Wanted
from nas.latency.profiling.lines import AnswerError
from nas.latency.profiling.runtimes.base import runtime_of
from nas.latency.profiling.targets.base import Burst
from nas.latency.profiling.targets.ssh import Address, SshTarget

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True)
class Board:
    """A reachable sshd; `ssh` finds its key and host key through a configuration of its own."""

    address: str
    folder: Path


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    if SSHD is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        pytest.skip("no OpenSSH server here (apt-get install openssh-server)")
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host_key = (folder / "host.pub").read_text().split()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {host_key[0]} {host_key[1]}\n")
    (folder / "sshd.conf").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nPasswordAuthentication no\n"
        f"PermitRootLogin prohibit-password\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None
    log = (folder / "log").open("wb")
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd.conf")], stderr=log)
    _client(folder)
    try:
        _wait_for(port, server)
        yield Board(f"ssh://127.0.0.1:{port}", folder)
    finally:
        server.terminate()
        server.wait()
        log.close()


def _client(folder: Path) -> None:
    """A program `ssh` that reads the test's configuration: the product's command line stays as it is."""
    real = shutil.which("ssh")
    (folder / "bin").mkdir()
    wrapper = folder / "bin" / "ssh"
    options = (
        f"-F none -o IdentityFile={folder}/user -o IdentitiesOnly=yes -o UserKnownHostsFile={folder}/known"
    )
    wrapper.write_text(f'#!/bin/sh\nexec {real} {options} "$@"\n')
    wrapper.chmod(0o755)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        if server.poll() is not None:
            pytest.skip("sshd does not start here")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("sshd does not listen")


@pytest.fixture(autouse=True)
def _own_ssh(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{board.folder / 'bin'}:{os.environ['PATH']}")


def test_a_model_is_timed_on_the_other_side_of_the_connection(board: Board, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with Exports(runtime_of("onnxruntime"), tmp_path, processes=1) as exports:
        models, failures = exports.get([Wanted.unit(UNITS[1])])
    assert not failures
    with SshTarget(board.address, "onnxruntime", 1, sys.executable) as target:
        facts = target.facts()
        target.load(models[0])
        times = target.time(models[0], Burst(runs=7, least_ms=0.0))
        target.drop(models[0])
        with pytest.raises(AnswerError, match="KeyError"):
            target.time(models[0], Burst())
    import onnxruntime

    assert facts.version == onnxruntime.__version__
    assert len(times) == 7 and all(0 < ms < 1000 for ms in times)


def test_a_key_that_is_not_accepted_is_said_so(board: Board) -> None:
    authorized = board.folder / "authorized"
    kept = authorized.read_text()
    authorized.write_text("")
    try:
        with (
            SshTarget(board.address, "onnxruntime", 1, sys.executable) as target,
            pytest.raises(NasError, match="ssh-copy-id"),
        ):
            target.facts()
    finally:
        authorized.write_text(kept)


def test_an_unknown_host_key_is_refused(board: Board) -> None:
    known = board.folder / "known"
    kept = known.read_text()
    known.write_text("")
    try:
        with (
            SshTarget(board.address, "onnxruntime", 1, sys.executable) as target,
            pytest.raises(NasError, match="host key"),
        ):
            target.facts()
    finally:
        known.write_text(kept)


def test_nobody_listening_is_said_so(board: Board) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        SshTarget(f"ssh://127.0.0.1:{port}", "onnxruntime", 1) as target,
        pytest.raises(NasError, match="is sshd running"),
    ):
        target.facts()


def test_a_board_without_that_python_is_said_so(board: Board) -> None:
    with (
        SshTarget(board.address, "onnxruntime", 1, "/nowhere/python3") as target,
        pytest.raises(NasError, match="--python"),
    ):
        target.facts()


def test_a_python_without_the_runtime_is_said_so(board: Board, tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    with (
        SshTarget(board.address, "onnxruntime", 1, str(bare)) as target,
        pytest.raises(NasError, match=r"No module named.*needs numpy and onnxruntime"),
    ):
        target.facts()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ssh://pi@board.local:2222", Address("board.local", "pi", 2222)),
        ("ssh://board", Address("board")),
        ("ssh://[::1]:22", Address("::1", "", 22)),
    ],
)
def test_addresses(text: str, expected: Address) -> None:
    assert Address.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["board", "ssh:board", "ssh://", "ssh://-oProxyCommand=x", "ssh://a:b@c", "ssh://a/b", "ssh://a:x"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(NasError, match="ssh://user@board"):
        Address.parse(text)
