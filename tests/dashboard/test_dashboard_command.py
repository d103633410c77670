"""`nas dashboard` where something is wrong, and what it costs those who do not use it."""

from __future__ import annotations

import http.client
import queue
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from dashboard_small import five, opened

from nas.dashboard.serve import serve
from nas.errors import NasError
from nas.store import Storage


def test_a_missing_storage_is_told_and_not_made(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nas", "dashboard", "sqlite:///none.db", "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 1
    assert "none.db" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    five(opened(tmp_path))
    storage = Storage(f"sqlite:///{tmp_path}/nas.db", read_only=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NasError, match=f"127.0.0.1 port {port}: .*--port 0"):
            serve(storage, port=port)


def test_a_page_of_another_name_is_not_served(tmp_path: Path) -> None:
    """As when a site has its own name point to 127.0.0.1 to read what is served there."""
    five(opened(tmp_path))
    storage, addresses = Storage(f"sqlite:///{tmp_path}/nas.db", read_only=True), queue.SimpleQueue[str]()
    threading.Thread(
        target=serve, args=(storage,), kwargs={"port": 0, "ready": addresses.put}, daemon=True
    ).start()
    port = urlsplit(addresses.get(timeout=1200)).port
    for name, status in (
        (f"evil.example:{port}", 403),
        (f"localhost:{port}", 200),
        (f"127.0.0.1:{port}", 200),
    ):
        asked = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        asked.request("GET", "/", headers={"Host": name})
        assert asked.getresponse().status == status, name
        asked.close()


def test_nobody_else_loads_it() -> None:
    code = "import sys, nas.cli; print({m.split('.')[0] for m in sys.modules} & {'dash', 'flask', 'plotly'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=1200)
    assert done.stdout.strip() == "set()"
