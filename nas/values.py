"""Kinds of values that settings hold, as they are written: `true` is no number, `"3"` is no 3, `.inf` no amount."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator, Strict

MAX_DEPTH = 20
_LONGEST = 60
_KINDS: dict[object, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def _whole(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a whole number is needed")
    return value


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("a number is needed")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Number = Annotated[float, BeforeValidator(_number)]
Flag = Annotated[bool, Strict()]


def is_plain(value: object, depth: int = 0) -> bool:
    """Whether a value is made of numbers, texts, truth values, nothing, lists and mappings of such, not too deep."""
    if isinstance(value, Mapping):
        inner: Sequence[object] = [*value.keys(), *value.values()]
    elif isinstance(value, list):
        inner = value
    else:
        return value is None or isinstance(value, (bool, int, float, str))
    return depth < MAX_DEPTH and all(is_plain(part, depth + 1) for part in inner)


def shown(value: object) -> str:
    """A value as messages quote it."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a whole number of thousands of digits; a list that holds itself
        text = f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def allowed(model: type[BaseModel], key: Sequence[str | int]) -> str:
    """What a field may hold, in words: `a whole number from 1 to 1,024`."""
    here: type[BaseModel] | None = model
    words = "another value"
    for part in key:
        info = here.model_fields.get(str(part)) if here is not None else None
        if info is None:
            break
        bounds = [bound for item in info.metadata if (bound := _bound(item))]
        words = " ".join(
            [_kind(info.annotation), *sorted(bounds, key=lambda bound: bound.startswith(("to", "below")))]
        )
        here = (
            info.annotation
            if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
            else None
        )
    return words


def _bound(item: object) -> str:
    if isinstance(item, Ge):
        return f"from {_text(item.ge)}"
    if isinstance(item, Gt):
        return f"above {_text(item.gt)}"
    if isinstance(item, Le):
        return f"to {_text(item.le)}"
    return f"below {_text(item.lt)}" if isinstance(item, Lt) else ""


def _text(bound: Any) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _several(annotation: Any) -> str:
    """What a list holds: `numbers above 0.01 to 1`."""
    parts = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    items = [item for part in parts[1:] for item in getattr(part, "metadata", [part])]
    bounds = sorted(filter(None, map(_bound, items)), key=lambda bound: bound.startswith(("to", "below")))
    return " ".join([{float: "numbers", int: "whole numbers"}.get(parts[0], "texts"), *bounds])


def _kind(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kind(get_args(annotation)[0])
    if origin is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(annotation))
    if origin is list:
        return f"a list of {_several(get_args(annotation)[0])}"
    if origin is Union or type(annotation).__name__ == "UnionType":
        return " or ".join(_kind(part) for part in get_args(annotation))
    if (isinstance(annotation, type) and issubclass(annotation, BaseModel)) or origin is dict:
        return "a mapping of keys to values"
    return _KINDS.get(annotation, "another value")
