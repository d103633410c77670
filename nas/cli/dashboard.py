"""`nas dashboard`: studies in a browser, followed while they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.output import echo, open_storage


def dashboard(
    storage: Annotated[
        str | None,
        typer.Argument(
            help="Where studies are: a URL. By default NAS_STORAGE, or sqlite:///nas.db.",
            metavar="[STORAGE]",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8080,
    host: Annotated[
        list[str] | None,
        typer.Option(
            help="Address to listen on, 127.0.0.1 by default; any other lets other machines read. Repeat it with "
            "further names under which the page may be asked for.",
            show_default=False,
        ),
    ] = None,
    space: Annotated[
        list[Path] | None,
        typer.Option(help="A space's file, where it is not found by name; may be repeated.", metavar="FILE"),
    ] = None,
) -> None:
    """Show studies in a browser: fronts, networks and progress, live and read-only."""
    opened = open_storage(storage)
    from nas.dashboard.serve import serve

    def ready(url: str) -> None:
        echo(f"{opened.url}: {url} (Ctrl+C ends)")

    def warn(warning: str) -> None:
        echo(f"warning: {warning}", err=True)

    hosts, url = host or ["127.0.0.1"], storage and opened.url
    serve(opened, host=hosts, port=port, named=url, spaces=space or [], ready=ready, warn=warn)
