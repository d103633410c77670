"""What the dashboard's server does with requests that its own page would not make: a short answer, and no noise."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from nas.dashboard.names import OwnNames

if TYPE_CHECKING:
    from flask import Flask

MOST_BYTES = 4 << 20
UPDATE = "/_dash-update-component"
_FILES = ("/_dash-component-suites/", "/assets/")


def guard(server: Flask, names: OwnNames) -> None:
    """Refuse other hosts, large bodies and what is no callback; answer errors in a line and without a traceback."""
    from flask import abort, request
    from werkzeug.exceptions import HTTPException

    server.config["MAX_CONTENT_LENGTH"] = MOST_BYTES

    @server.before_request
    def check() -> None:
        if not names.know(request.host):
            abort(403, "This page is served under other names; nas dashboard --host NAME adds one.")
        if (request.content_length or 0) > MOST_BYTES:
            abort(413)
        if request.path == UPDATE and request.method == "POST" and not _is_callback(_body()):
            abort(400, "This is no callback of the page.")

    @server.errorhandler(Exception)
    def answer(error: Exception) -> Any:
        if isinstance(error, HTTPException):
            return error
        logging.getLogger("nas.dashboard").debug("%s failed", request.path, exc_info=error)
        if request.path.startswith(_FILES):
            return "There is no such file.", 404
        return "This request cannot be answered.", 400 if request.path == UPDATE else 500


def _body() -> object:
    from flask import request

    try:
        return request.get_json(silent=True, force=True)
    except RecursionError:
        return None


def _is_callback(body: object) -> bool:
    """Whether a body has the form of what Dash's page sends."""
    if not isinstance(body, dict) or not isinstance(body.get("output"), str):
        return False
    listed = [body.get(name, []) for name in ("inputs", "state", "changedPropIds")]
    return "inputs" in body and "outputs" in body and all(isinstance(part, list) for part in listed)
