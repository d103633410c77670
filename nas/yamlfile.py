"""YAML files that remember where each key stands, validated by pydantic models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from nas.errors import ConfigError, shortened, suggestion

MOST_BYTES, MOST_ENTRIES, MOST_NODES, DEEPEST = 1_000_000, 10_000, 100_000, 100
"""Of a file: its size; lines and commas, which the parser takes half a millisecond each for; nodes once aliases are
followed; levels of brackets. The largest space that ships has 5 kB."""

_WIDEST = 4
"""Bytes of a character."""

PARSING = (YAMLError, ValueError, TypeError, AttributeError, LookupError, AssertionError)
"""What the parser raises for text that is not YAML, and for keys that no mapping can have, such as lists."""
Model = TypeVar("Model", bound=BaseModel)
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A parsed YAML file: plain data and the line of every key."""

    path: Path
    data: dict[str, Any]
    lines: dict[KeyPath, int] = field(repr=False)

    def line(self, key: Sequence[str | int]) -> int | None:
        """Line (from 1) of a key path, or of its nearest ancestor that has one."""
        at = tuple(key)
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at)

    def error(self, key: Sequence[str | int], message: str) -> ConfigError:
        """An error about the value at `key`."""
        return ConfigError(message, path=self.path, line=self.line(key), key=dotted(key))


def dotted(key: Sequence[str | int]) -> str:
    """`("stages", "C1", "width", 0)` as `stages.C1.width[0]`."""
    text = ""
    for part in key:
        name = shortened(str(part))
        text += f"[{part}]" if isinstance(part, int) else f".{name}" if text else name
    return text


def load_document(path: str | Path) -> Document:
    """Read a YAML mapping from `path`.

    Raises:
        ConfigError: no such file, a directory, not UTF-8, empty, not a mapping, a duplicate
            key, not YAML, or far larger than any such file is; with the line where that is known.
    """
    path = Path(path)
    text = _read_text(path)
    _check_size(path, text)
    try:
        tree = YAML(typ="rt", pure=True).load(text)
        if isinstance(tree, CommentedMap):
            return Document(path, _Plain()(tree), dict(_lines(tree, ())))
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        problem = str(error.problem).split(" with value")[0]
        raise ConfigError(f"{problem}: each key may stand only once.", path=path, line=line) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise ConfigError(f"not valid YAML: {error.problem}.", path=path, line=line) from None
    except RecursionError:
        raise ConfigError("not valid YAML: nested too deeply.", path=path) from None
    except PARSING as error:
        raise ConfigError(f"not valid YAML: {shortened(str(error), 300)}", path=path) from None
    if tree is None:
        raise ConfigError("the file is empty; a mapping of keys to values is needed.", path=path)
    raise ConfigError(
        f"a mapping of keys to values is needed at the top, not a {_kind(tree)}.", path=path, line=1
    )


def validate(document: Document, model: type[Model]) -> Model:
    """The document as a pydantic model.

    Raises:
        ConfigError: the first thing wrong, with line, key, what is allowed and likely spelling.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise _first_problem(document, model, error) from None


def _first_problem(document: Document, model: type[BaseModel], error: ValidationError) -> ConfigError:
    problem = min(error.errors(), key=lambda item: _urgency(item, document))
    key = _real(problem["loc"], document)
    if problem["type"] == "extra_forbidden":
        known = _fields_at(model, key[:-1])
        hint = suggestion(str(key[-1]), known)
        allowed = f" Allowed here: {', '.join(sorted(known))}." if known else ""
        if str(key[-1]) in ("plugin", "plugins"):
            hint = " A file never loads code; name the plug-in in the command: --plugin FILE."
        return document.error(key, f"unknown key {key[-1]!r}.{hint}{allowed}")
    if problem["type"] == "missing":
        parent, name = problem["loc"][:-1], problem["loc"][-1]
        return document.error(_real(parent, document), f"the key {name!r} is missing.")
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if problem["type"] in ("model_type", "dict_type"):
        message = "a mapping of keys to values is needed"
    elif problem["type"] == "finite_number":
        message = "a finite number is needed"
    shown = problem.get("input")
    got = (
        f" (got {shortened(repr(shown))})"
        if isinstance(shown, (str, int, float, bool)) or shown is None
        else ""
    )
    return document.error(key, f"{message}{got}")


def _urgency(item: Any, document: Document) -> tuple[bool, bool, int]:
    """What to report first: of a mapping that a union takes, its keys; a missing key, often misspelt, last."""
    other_form = item["type"] == "string_type" and isinstance(item.get("input"), Mapping)
    return other_form, item["type"] == "missing", document.line(_real(item["loc"], document)) or 0


def _real(loc: Sequence[str | int], document: Document) -> KeyPath:
    """Drop the parts pydantic adds for union members, which are no keys of the file."""
    key: KeyPath = ()
    here: Any = document.data
    for part in loc:
        inside: Any = (
            range(len(here)) if isinstance(here, list) else here if isinstance(here, Mapping) else ()
        )
        if part in inside:
            key, here = (*key, part), here[part]
    return key


def _fields_at(model: type[BaseModel], key: Sequence[str | int]) -> list[str]:
    current: type[BaseModel] | None = model
    for part in key:
        if isinstance(part, int):
            continue  # the models of a list's items were found with the list
        info = current.model_fields.get(str(part)) if current else None
        current = _model_in(info.annotation) if info else None
    return [info.alias or name for name, info in current.model_fields.items()] if current else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation such as `Model | None` or `list[str | Model]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in map(_model_in, get_args(annotation)) if found), None)


def _read_text(path: Path) -> str:
    if not path.exists():
        raise ConfigError("no such file.", path=path)
    if path.is_dir():
        raise ConfigError("this is a directory; a YAML file is needed.", path=path)
    try:
        with path.open("rb") as file:
            data = file.read(_WIDEST * MOST_BYTES + 1)
        if len(data) > _WIDEST * MOST_BYTES:
            raise ConfigError(
                f"the file has more than {MOST_BYTES:,} characters, the most that are read.", path=path
            )
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"byte {error.start} is not UTF-8 text.", path=path, line=line) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}.", path=path) from None


def _check_size(path: Path, text: str) -> None:
    """Refuse what would take minutes to parse.

    Raises:
        ConfigError: too long, too many entries, nested too deeply.
    """
    entries = text.count("\n") + text.count(",")
    if len(text) > MOST_BYTES:
        raise ConfigError(
            f"the file has {len(text):,} characters; at most {MOST_BYTES:,} are read.", path=path
        )
    if entries > MOST_ENTRIES:
        raise ConfigError(
            f"the file has about {entries:,} entries (lines and commas); at most {MOST_ENTRIES:,} are read.",
            path=path,
        )
    brackets = np.frombuffer(text.encode("utf-8"), dtype=np.uint8)
    opened = np.isin(brackets, list(b"[{")).astype(np.int64) - np.isin(brackets, list(b"]}"))
    if opened.cumsum().max(initial=0) > DEEPEST:
        raise ConfigError(f"not valid YAML: nested too deeply; at most {DEEPEST} levels are read.", path=path)


def _lines(node: Any, at: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    if isinstance(node, (CommentedMap, CommentedSeq)):
        pairs = node.items() if isinstance(node, CommentedMap) else enumerate(node)
        places = node.lc.data or {}
        for key, value in pairs:
            name = (*at, str(key) if isinstance(node, CommentedMap) else key)
            if key in places:  # what was merged into a mapping by '<<' has no place of its own in it
                yield name, places[key][0] + 1
            yield from _lines(value, name)


class _Plain:
    """Plain data of a parsed file, as long as it does not grow beyond bounds when aliases are followed."""

    def __init__(self) -> None:
        self._nodes = 0

    def __call__(self, node: Any) -> Any:
        """The data of a node.

        Raises:
            ValueError: too many nodes, or keys that are twins.
        """
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise ValueError(f"with its aliases followed, the file has more than {MOST_NODES:,} values.")
        if isinstance(node, Mapping):
            _refuse_twins(node)
            return {str(key): self(value) for key, value in node.items()}
        if isinstance(node, CommentedSeq):
            return [self(value) for value in node]
        if isinstance(node, bool) or node is None:
            return node
        return next((kind(node) for kind in (int, float, str) if isinstance(node, kind)), node)


def _refuse_twins(node: Mapping[Any, Any]) -> None:
    """Keys that YAML tells apart but names do not, such as 1 and "1"."""
    seen: set[str] = set()
    for text in map(str, node):
        if text in seen:
            raise ValueError(f"the key {text!r} stands twice, as different types.")
        seen.add(text)


def _kind(node: Any) -> str:
    return "list" if isinstance(node, list) else "single value"
