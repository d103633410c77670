"""The dashboard before requests that its page would not make: other names, garbage, large bodies, wrong paths."""

from __future__ import annotations

import http.client
import json
import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.dashboard.guard import MOST_BYTES, UPDATE
from nas.dashboard.names import OwnNames, is_everywhere, is_loopback
from nas.dashboard.serve import serve
from nas.store import Objective, Storage


def storage_in(folder: Path) -> Storage:
    made = Storage(f"sqlite:///{folder}/nas.db")
    made.create_study(
        "s", space="x", space_hash="0" * 12, objectives=[Objective("latency", "min", "ms")], config={}
    )
    made.close()
    return Storage(f"sqlite:///{folder}/nas.db", read_only=True)


def serving(folder: Path, host: str | list[str]) -> tuple[int, list[str]]:
    ready: queue.SimpleQueue[str] = queue.SimpleQueue()
    warned: list[str] = []
    arguments = {"port": 0, "host": host, "ready": ready.put, "warn": warned.append}
    threading.Thread(target=serve, args=(storage_in(folder),), kwargs=arguments, daemon=True).start()
    port = urlsplit(ready.get(timeout=600)).port
    assert port is not None
    return port, warned


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    yield serving(tmp_path_factory.mktemp("served"), "127.0.0.1")[0]


def asked(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request(method, path, body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        "[::1",
        "10.0.0.1",
        "a b",
    ],
)
def test_other_names_are_refused(port: int, host: str) -> None:
    assert asked(port, "GET", "/", Host=host) in (400, 403)


def test_an_address_of_every_interface_checks_names_too_and_warns(tmp_path: Path) -> None:
    port, warned = serving(tmp_path, ["0.0.0.0", "lab.example"])
    assert len(warned) == 1 and "no password" in warned[0] and "0.0.0.0" in warned[0]
    for name, status in (
        ("evil.example", 403),
        ("lab.example", 200),
        (f"LAB.example:{port}", 200),
        ("localhost", 200),
        ("127.0.0.1", 200),
        ("192.168.7.7", 200),
        (socket.gethostname(), 200),
    ):
        assert asked(port, "GET", "/", Host=name) == status, name


def test_which_addresses_are_this_machine_alone() -> None:
    assert [
        is_loopback(host)
        for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost", "10.0.0.1", "0.0.0.0", "x")
    ] == [
        True,
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert is_everywhere("::") and not is_everywhere("127.0.0.1")
    lan = OwnNames.of(["192.168.1.5"])
    assert (
        lan.know("192.168.1.5:8080")
        and lan.know("localhost")
        and not lan.know("192.168.1.6")
        and not lan.know("evil.example")
    )


BODIES = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"{",
    b"\xff\xfe",
    b'{"output": 3}',
    b'{"output": "x.y", "outputs": 1, "inputs": {}}',
    b'{"output": "nothing.there", "outputs": {"id": "n", "property": "p"}, "inputs": []}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("body", BODIES)
def test_garbage_is_answered_in_a_line_and_nothing_is_printed(
    port: int, body: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    for kind in ("application/json", "text/plain"):
        assert asked(port, "POST", UPDATE, body, **{"Content-Type": kind}) in (400, 404, 500)
    printed = capfd.readouterr()
    assert "Traceback" not in printed.err + printed.out and printed.err == ""


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["output", "outputs", "inputs", "state", "changedPropIds"]),
        st.recursive(
            st.none() | st.text(max_size=5) | st.integers(),
            lambda x: st.lists(x) | st.dictionaries(st.text(max_size=3), x),
        ),
    )
)
def test_any_callback_is_answered(port: int, body: dict[str, object]) -> None:
    assert asked(port, "POST", UPDATE, json.dumps(body).encode(), **{"Content-Type": "application/json"}) in (
        400,
        404,
        500,
    )


def test_large_bodies_are_refused(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=120) as raw:
        lines = [f"POST {UPDATE} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
        raw.sendall("\r\n".join([*lines, f"Content-Length: {MOST_BYTES + 1}", "", ""]).encode())
        assert b" 413 " in raw.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize(
    "path",
    [
        "/assets/nothing.css",
        "/assets/..%2f..%2fapp.py",
        "/_dash-component-suites/dash/x.js",
        "/_dash-component-suites/os/path.py",
        "/_dash-component-suites/../../etc/passwd",
    ],
)
def test_paths_of_no_file(port: int, path: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert asked(port, "GET", path) == 404
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "line", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70_000 + b"\r\n\r\n"]
)
def test_what_is_no_request_at_all(port: int, line: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
        raw.sendall(line)
        raw.recv(100)
    assert asked(port, "GET", "/") == 200
    assert "Traceback" not in capfd.readouterr().err
