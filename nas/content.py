"""Content found by name: spaces, devices, predictors and studies that users read, copy and edit.

A bare word is a name, looked for first in the working directory (`./devices/NAME`), then beside the package
in a checkout, then inside the installed wheel. Anything with a separator or a `.yaml` ending is a path.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from nas.errors import NasError, unknown

Kind = Literal["spaces", "devices", "predictors", "studies"]

_YAML = (".yaml", ".yml")
_ENTRY: dict[Kind, str] = {"devices": "device.yaml", "predictors": "report.json"}
_SINGULAR: dict[Kind, str] = {
    "spaces": "space",
    "devices": "device",
    "predictors": "predictor",
    "studies": "study",
}


def folders(kind: Kind) -> list[Path]:
    """Existing folders that hold content of this kind, the user's own first, without repeats."""
    package = Path(__file__).resolve().parent
    candidates = [Path.cwd() / kind, package / "_content" / kind]
    if (package.parent / "pyproject.toml").is_file():
        candidates.insert(1, package.parent / kind)
    found = [folder.resolve() for folder in candidates if folder.is_dir()]
    return list(dict.fromkeys(found))


def names(kind: Kind) -> list[str]:
    """Names of all content of this kind, sorted."""
    return sorted({path.stem for folder in folders(kind) for path in folder.iterdir() if _is(kind, path)})


def find(kind: Kind, name_or_path: str | Path) -> Path:
    """The YAML file of a space, or the folder of a device, a predictor or a study.

    Args:
        kind: which content.
        name_or_path: `"elasticvit"`, `"spaces/elasticvit.yaml"`, `"devices/pixel6"` or the file inside it.

    Raises:
        NasError: no content of that name (lists the known ones), or nothing of that kind at the path.
    """
    text = str(name_or_path)
    if not text.strip():
        raise NasError(f"the name of a {_SINGULAR[kind]} is empty.")
    path = Path(text).expanduser()
    separated = any(separator in text for separator in ("/", os.sep))
    is_path = not isinstance(name_or_path, str) or separated or path.suffix in _YAML
    if not is_path and path.is_dir() and kind == "spaces" and _named(kind, text) is None:
        raise NasError(f"{text}: this is a directory; a YAML file or the name of a space is needed.")
    found = _at(kind, path) if is_path else _named(kind, text) or _at(kind, path)
    if found is not None:
        return found
    if is_path:
        raise NasError(f"{text}: {_what_is_there(kind, path)}")
    raise NasError(unknown(_SINGULAR[kind], text, names(kind)))


def _named(kind: Kind, name: str) -> Path | None:
    endings = _YAML if kind == "spaces" else ("",)
    paths = (folder / (name + ending) for folder in folders(kind) for ending in endings)
    return next((path for path in paths if _is(kind, path)), None)


def _at(kind: Kind, path: Path) -> Path | None:
    if kind in _ENTRY and path.name == _ENTRY[kind]:
        path = path.parent
    return path if _is(kind, path) else None


def _is(kind: Kind, path: Path) -> bool:
    if kind == "spaces":
        return path.is_file() and path.suffix in _YAML
    if kind == "studies":
        return path.is_dir() and not path.name.startswith((".", "_"))
    return (path / _ENTRY[kind]).is_file()


def _what_is_there(kind: Kind, path: Path) -> str:
    if not path.exists():
        return "no such file or directory."
    if kind in _ENTRY:
        return f"no {_SINGULAR[kind]} here; a folder with a {_ENTRY[kind]} is needed."
    return "a YAML file is needed." if kind == "spaces" else "a folder is needed."
