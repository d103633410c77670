"""The space file: `version: 1` YAML, checked key by key."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from nas.errors import shortened
from nas.space.decision import Kind, Value
from nas.space.expression import EXACT
from nas.values import Number
from nas.yamlfile import Document

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
LONGEST_NAME, LONGEST_WORD = 100, 200
"""Characters of the name of a space, a decision or a stage, which tables and files show, and of a word to choose."""
RESERVED = ("and", "or", "not", "in", "min", "max", "ceil_div", "if", "else", "is", "for", "lambda")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class InputFile(_Strict):
    """The deployment input: what MACs, parameters, memory, latency and presets refer to."""

    resolution: Any
    channels: int = Field(default=3, ge=1)
    classes: int = Field(default=1000, ge=1)


class RuleFile(_Strict):
    """A rule: an expression that must hold."""

    require: str
    why: str = ""
    scope: Literal["local", "global"] = "local"


class MinimumFile(_Strict):
    """A smallest subnet and the highest level it serves."""

    preset: str
    up_to: str | int


class SamplingFile(_Strict):
    """What complexity-aware sampling needs to know of a space; derived from it where left out."""

    levels: list[str | int] = Field(min_length=1)
    window: str | int
    minimum: list[MinimumFile] = Field(min_length=1)
    widths: list[str] = []
    depths: list[str] = []


class PublishedFile(_Strict):
    """What was published of presets.

    Attributes:
        top1: on ImageNet-1k, in percent (78.5, not 0.785), by preset.
        source: who says so, and of which training; needed where there is any.
    """

    top1: dict[str, Annotated[Number, Field(gt=1, le=100, allow_inf_nan=False)]] = {}
    source: str = ""

    @model_validator(mode="after")
    def _says_whose(self) -> PublishedFile:
        if self.top1 and not self.source.strip():
            raise ValueError("say in 'source' who published these accuracies, and of which training.")
        return self


class SpaceFile(_Strict):
    """Top level of a space file."""

    version: Literal[1]
    name: str
    about: str = ""
    source: str = ""
    input: InputFile | None = None
    decisions: dict[str, Any] = {}
    stages: dict[str, dict[str, Any]] = {}
    outputs: list[str] = []
    rules: list[str | RuleFile] = []
    presets: dict[str, dict[str, Any]] = {}
    requirements: dict[str, list[str]] = {}
    sampling: SamplingFile | None = None
    recipes: dict[str, dict[str, Any]] = {}
    published: PublishedFile = PublishedFile()

    @field_validator("name")
    @classmethod
    def _nameable(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", value):
            raise ValueError("a name is letters, digits, '-', '_' and '.', and starts with a letter or digit")
        if len(value) > LONGEST_NAME:
            raise ValueError(f"a name has at most {LONGEST_NAME} characters, not {len(value):,}")
        return value


class Range(BaseModel):
    """Parsed values of one choice."""

    values: tuple[Value, ...]
    kind: Kind
    per: Literal["stage", "block", "head"] = "stage"


INF = float("inf")
RANGE_FORMS = "a list like [16, 24], {min, max, step}, or {values: [...], kind, per}"
EACH = "each"


def check_name(document: Document, key: Sequence[str | int], name: str) -> None:
    """Names of stages and decisions must be usable in expressions."""
    if len(name) > LONGEST_NAME:
        raise document.error(key, f"a name has at most {LONGEST_NAME} characters, not {len(name):,}.")
    if not NAME.match(name) or name in RESERVED:
        raise document.error(
            key, f"{name!r} is not a usable name: letters, digits and '_', not a reserved word."
        )


def is_range(raw: Any) -> bool:
    """Whether a value offers a choice."""
    return isinstance(raw, list) or (
        isinstance(raw, Mapping) and ("min" in raw or "values" in raw or "max" in raw)
    )


def parse_range(document: Document, key: Sequence[str | int], raw: Any, low: float | None = None) -> Range:
    """The choice written at `key`.

    Raises:
        ConfigError: empty, repeated or mixed values, a step that does not fit, an unknown key.
    """
    if isinstance(raw, list):
        raw = {"values": raw}
    if not isinstance(raw, Mapping):
        raise document.error(key, f"a choice is {RANGE_FORMS}, not {raw!r}.")
    known = ("min", "max", "step", "values", "kind", "per")
    for name in raw:
        if name not in known:
            from nas.errors import unknown

            raise document.error([*key, name], unknown("key of a range", str(name), known))
    per = raw.get("per", "stage")
    if per not in ("stage", "block", "head"):
        raise document.error(
            [*key, "per"], f"'per' is stage (one choice for all blocks), block or head, not {per!r}."
        )
    values = _listed(document, key, raw) if "values" in raw else _stepped(document, key, raw)
    kind = _kind(document, key, raw, values)
    if low is not None:
        bad = [value for value in values if not isinstance(value, str) and value < low]
        if bad:
            raise document.error(key, f"{bad[0]} is below {low:g}, the smallest allowed.")
    if kind == "ordinal":
        values = sorted(values)
    return Range(values=tuple(values), kind=kind, per=per)


def _listed(document: Document, key: Sequence[str | int], raw: Mapping[str, Any]) -> list[Any]:
    values = raw["values"]
    for name in ("min", "max", "step"):
        if name in raw:
            raise document.error([*key, name], f"{name!r} and 'values' exclude each other.")
    if not isinstance(values, list) or not values:
        raise document.error(key, "the list of values is empty; give at least one.")
    plain = [int(value) if isinstance(value, bool) else value for value in values]
    for index, value in enumerate(plain):
        if not isinstance(value, (int, float, str)) or value in (INF, -INF) or value != value:
            raise document.error(
                [*key, index], f"a value is a number or a word, not {shortened(repr(value))}."
            )
        if isinstance(value, str) and len(value) > LONGEST_WORD:
            raise document.error(
                [*key, index], f"a word has at most {LONGEST_WORD} characters, not {len(value):,}."
            )
        if not isinstance(value, str) and abs(value) > EXACT:
            raise document.error(
                [*key, index], f"{value!r} is beyond 2**53 (9e15), up to which numbers are exact."
            )
    if len({type(value) is str for value in plain}) > 1:
        raise document.error(key, "numbers and words cannot be mixed in one choice.")
    twice = next((value for value, count in Counter(plain).items() if count > 1), None)
    if twice is not None:
        raise document.error(key, f"{twice!r} is listed twice.")
    return plain


def _stepped(document: Document, key: Sequence[str | int], raw: Mapping[str, Any]) -> list[int]:
    for name in ("min", "max"):
        if name not in raw:
            raise document.error(key, f"the key {name!r} is missing; a range is {RANGE_FORMS}.")
    low, high, step = raw["min"], raw["max"], raw.get("step", 1)
    for name, value in (("min", low), ("max", high), ("step", step)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise document.error(
                [*key, name], f"{name!r} must be a whole number, not {shortened(repr(value))}."
            )
        if abs(value) > EXACT:
            raise document.error(
                [*key, name], f"{value} is beyond 2**53 (9e15), up to which numbers are exact."
            )
    if step < 1:
        raise document.error([*key, "step"], f"'step' must be at least 1, not {step}.")
    if high < low:
        raise document.error([*key, "max"], f"'max' {high} is below 'min' {low}: the range is empty.")
    if (high - low) % step:
        near = high - (high - low) % step
        raise document.error(
            [*key, "max"], f"steps of {step} from {low} do not reach {high}; the last is {near}."
        )
    if (high - low) // step >= 10_000:
        raise document.error(key, "a range of more than 10,000 values.")
    return list(range(low, high + 1, step))


def _kind(document: Document, key: Sequence[str | int], raw: Mapping[str, Any], values: list[Any]) -> Kind:
    words = isinstance(values[0], str)
    kind: Any = raw.get("kind", "categorical" if words else "ordinal")
    if kind not in ("ordinal", "categorical"):
        raise document.error([*key, "kind"], f"'kind' is ordinal or categorical, not {kind!r}.")
    if kind == "ordinal" and words:
        raise document.error([*key, "kind"], "words have no order; use kind: categorical.")
    return "ordinal" if kind == "ordinal" else "categorical"
