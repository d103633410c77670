"""Serving the dashboard from this machine."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from nas.dashboard.names import OwnNames, is_loopback
from nas.errors import NasError
from nas.store import Storage

ANYWHERE = (
    "other machines that reach {host} can read every study of this storage: there is no password. --host 127.0.0.1, "
    "the default, serves this machine alone."
)


def serve(
    storage: Storage,
    *,
    host: str | Sequence[str] = "127.0.0.1",
    port: int = 8080,
    named: str | None = None,
    spaces: Sequence[Path] = (),
    ready: Callable[[str], None] = lambda url: None,
    warn: Callable[[str], None] = lambda warning: None,
) -> None:
    """Serve until interrupted.

    Args:
        storage: opened for reading only.
        host: address to listen on, and further names under which the page may be asked for; other addresses than the
            loopback let other machines read the studies.
        port: 0 takes a free one.
        named: the storage's URL where commands must name it.
        spaces: files of spaces that are not found by name.
        ready: called with the page's address once it answers.
        warn: told that other machines can read.

    Raises:
        NasError: the address cannot be listened on.
    """
    from werkzeug.serving import make_server

    from nas.dashboard.app import make_app
    from nas.dashboard.guard import guard

    names = [host] if isinstance(host, str) else list(host) or ["127.0.0.1"]
    with _listening(names[0], port) as listener:
        app = make_app(storage, named=named, spaces=spaces)
        guard(app.server, OwnNames.of(names))
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL + 1)
        port = listener.getsockname()[1]
        server = make_server(names[0], port, app.server, threaded=True, fd=listener.fileno())
        server.handle_error = _unheard  # type: ignore[method-assign]
        if not is_loopback(names[0]):
            warn(ANYWHERE.format(host=names[0]))
        ready(f"http://{f'[{names[0]}]' if ':' in names[0] else names[0]}:{port}/")
        server.serve_forever()


def _unheard(request: object, client_address: object) -> None:
    """What goes wrong with one connection concerns whoever made it."""
    logging.getLogger("nas.dashboard").debug("a connection broke", exc_info=True)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        raise NasError(
            f"nothing can listen on {host} port {port}: {error}. --port 0 takes a free port."
        ) from None
