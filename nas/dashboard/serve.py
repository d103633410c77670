"""Serving the dashboard from this machine."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nas.errors import NasError
from nas.store import Storage

if TYPE_CHECKING:
    from flask import Flask

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def serve(
    storage: Storage,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    named: str | None = None,
    spaces: Sequence[Path] = (),
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until interrupted.

    Args:
        storage: opened for reading only.
        host: address to listen on; others than the loopback let other machines read the studies.
        port: 0 takes a free one.
        named: the storage's URL where commands must name it.
        spaces: files of spaces that are not found by name.
        ready: called with the page's address once it answers.

    Raises:
        NasError: the address cannot be listened on.
    """
    from werkzeug.serving import make_server

    from nas.dashboard.app import make_app

    with _listening(host, port) as listener:
        app = make_app(storage, named=named, spaces=spaces)
        if host in _LOOPBACK:
            _only_asked_as(app.server, _LOOPBACK)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        port = listener.getsockname()[1]
        server = make_server(host, port, app.server, threaded=True, fd=listener.fileno())
        ready(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
        server.serve_forever()


def _only_asked_as(server: Flask, names: Collection[str]) -> None:
    """Refuse requests for another host: a page elsewhere may have its own name point to this machine."""
    from flask import abort, request

    @server.before_request
    def check() -> None:
        name = urlsplit(f"//{request.host}").hostname
        if name not in names:
            abort(403, "This page is served to this machine only.")


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise NasError(
            f"nothing can listen on {host} port {port}: {error}. --port 0 takes a free port."
        ) from None
