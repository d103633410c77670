"""`nas doctor`: whether this installation can do its work."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

from nas.cli.output import echo

REQUIRED = (
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "xgboost",
    "sqlalchemy",
    "plotly",
    "kornia",
    "ray",
    "nevergrad",
    "dash",
)
OPTIONAL = {
    "datasets": 'hf:NAME data: pip install "nas[hub]"',
    "psycopg": 'PostgreSQL storages: pip install "nas[postgres]"',
    "onnxruntime": 'profiling under ONNX Runtime: pip install "nas[onnxruntime]"',
    "executorch": 'profiling under ExecuTorch: pip install "nas[executorch]"',
}


def doctor() -> None:
    """Check packages, content, storage and hardware, and say what is missing."""
    problems = [*_packages(), *_content(), *_storage()]
    _hardware()
    for problem in problems:
        echo(f"problem: {problem}")
    if problems:
        raise typer.Exit(1)
    echo("all is well")


def _packages() -> list[str]:
    from nas import __version__

    echo(f"nas {__version__}, Python {platform.python_version()}, {platform.platform()}")
    missing = []
    for name in REQUIRED:
        try:
            echo(f"  {name} {version(name)}")
        except PackageNotFoundError:
            missing.append(f"package {name} is not installed; install nas again with pip")
    for name, why in OPTIONAL.items():
        try:
            echo(f"  {name} {version(name)}")
        except PackageNotFoundError:
            echo(f"  {name} is not installed (only needed for {why})")
    return missing


def _content() -> list[str]:
    from nas import content
    from nas.errors import NasError
    from nas.latency.device import load_device
    from nas.plugins import loaded
    from nas.space import load_space

    problems = []
    for name in content.names("spaces"):
        try:
            load_space(name)
        except NasError as error:
            problems.append(str(error))
    for name in content.names("devices"):
        try:
            load_device(name)
        except NasError as error:
            problems.append(str(error))
    plugins = ", ".join(plugin.describe() for plugin in loaded.values())
    echo(f"  plug-ins: {plugins or 'none'}")
    echo(f"  spaces: {', '.join(content.names('spaces')) or 'none'}")
    echo(f"  devices: {', '.join(content.names('devices')) or 'none'}")
    return problems


def _storage() -> list[str]:
    from nas.errors import NasError
    from nas.store import Storage, default_url

    url = default_url()
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        writable = os.access(Path(url.removeprefix("sqlite:///")).resolve().parent, os.W_OK)
        echo(f"  storage: {url} (will be created)")
        return [] if writable else [f"{url}: the folder is not writable"]
    try:
        count = len(Storage(url, read_only=True).studies())
    except NasError as error:
        return [str(error)]
    echo(f"  storage: {count} studies")
    return []


def _hardware() -> None:
    import torch

    from nas.supernet.precision import bf16_is_fast

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    echo(f"  GPU: {gpu}; CPU threads: {torch.get_num_threads()}; bf16 on this CPU: {bf16_is_fast()}")
