"""From a space file to decisions, stages and rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.blocks.base import Block, Field
from nas.blocks.registry import BLOCKS
from nas.errors import unknown, unprovided
from nas.space.decision import Decision
from nas.space.effect import Effects, Users
from nas.space.expression import Expression, ExpressionError, parse
from nas.space.schema import Range, check_name, is_range, parse_range
from nas.space.stage import Chosen, Const, Derived, Part, Source, Stage, Suffix
from nas.yamlfile import Document

STAGE_KEYS = ("block", "depth", "stride", "downsample")
RESOLUTION = Field(low=1, high=8192)
MAX_DEPTH = 1000
Key = Sequence[str | int]


class Parser:
    """Collects the decisions of a document in the order in which they stand there."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.decisions: list[Decision] = []
        self.sources: dict[str, Source] = {}
        self.derived: list[tuple[Key, str, Expression, Field]] = []
        self.effects = Effects()

    def add(self, key: Key, name: str, spec: Range, active_when: str | None = None) -> None:
        """Append one decision, which has an effect under `active_when` (None: always)."""
        if any(decision.name == name for decision in self.decisions):
            raise self.document.error(key, f"two decisions are called {name!r}.")
        self.decisions.append(Decision(name, spec.values, spec.kind))
        self.effects.own[name] = active_when

    def finish(self) -> None:
        """Settle under which conditions each decision has an effect, once all of them are known."""
        stages = {
            name: source.expression for name, source in self.sources.items() if isinstance(source, Derived)
        }
        self.decisions = [
            Decision(d.name, d.values, d.kind, self.effects.of(d.name, stages)) for d in self.decisions
        ]

    def free_decisions(self, raw: Mapping[str, Any]) -> None:
        """Decisions that belong to no stage."""
        for name, value in raw.items():
            key = ["decisions", name]
            check_name(self.document, key, name)
            self.add(key, name, parse_range(self.document, key, value))

    def resolution(self, raw: Any) -> Source:
        """The deployment resolution: a number, or a decision called `resolution`."""
        key = ["input", "resolution"]
        if is_range(raw):
            choice = parse_range(self.document, key, raw, low=1)
            self._check_values(key, choice.values, RESOLUTION)
            self.add(key, "resolution", choice)
            return Chosen("resolution")
        return self._number(key, raw, RESOLUTION, "")

    def stage(self, name: str, raw: Mapping[str, Any]) -> Stage:
        """One stage with its decisions."""
        key = ["stages", name]
        check_name(self.document, key, name)
        vanishes = _may_vanish(raw.get("block")) and raw.get("downsample") is None
        condition = f"{name}.block != 'identity'" if vanishes else None
        depth, low, high = self._depth([*key, "depth"], name, raw.get("depth", 1), condition)
        stride = raw.get("stride", 1)
        if not isinstance(stride, int) or isinstance(stride, bool) or stride < 1:
            raise self.document.error([*key, "stride"], f"'stride' is a whole number from 1, not {stride!r}.")
        downsample = raw.get("downsample")
        before = None
        own = {k: v for k, v in raw.items() if k not in ("depth", "stride", "downsample")}
        if downsample is not None:
            before = self._downsample(key, name, downsample, own, low)
        strided = stride != 1 and downsample is None
        body = self._part(key, name, own, high, low, Users(name, low, strided))
        self._check_stride([*key, "stride"], stride, before or body)
        return Stage(name, body, depth, low, high, stride, before)

    def _check_stride(self, key: Key, stride: int, part: Part) -> None:
        for unit in (block.units[0] for block in part.blocks if block.units):
            if unit.strides and stride not in unit.strides:
                allowed = " or ".join(str(each) for each in unit.strides)
                hint = "; give the stage a 'downsample'" if unit.strides == (1,) else ""
                raise self.document.error(
                    key, f"block {unit.kind!r} takes stride {allowed}, not {stride}{hint}."
                )

    def _downsample(self, key: Key, name: str, raw: Any, own: Mapping[str, Any], low: int) -> Part:
        inner = [*key, "downsample"]
        if not isinstance(raw, Mapping):
            raise self.document.error(inner, f"a mapping with 'block' is needed, not {raw!r}.")
        part = self._part(
            inner, f"{name}.downsample", {"width": f"{name}.width", **raw}, 1, 1, Users(name, low)
        )
        if "width" not in own:
            raise self.document.error(key, "a stage with a down-sampler needs 'width'.")
        return part

    def _depth(self, key: Key, name: str, raw: Any, condition: str | None) -> tuple[Source, int, int]:
        if is_range(raw):
            spec = parse_range(self.document, key, raw, low=0)
            self._check_values(key, spec.values, Field(low=0, high=MAX_DEPTH))
            self.add(key, f"{name}.depth", spec, condition)
            numbers = [int(value) for value in spec.values]
            return Chosen(f"{name}.depth"), min(numbers), max(numbers)
        if not isinstance(raw, int) or isinstance(raw, bool) or raw < 1 or raw > MAX_DEPTH:
            raise self.document.error(
                key, f"'depth' is a whole number from 1 to {MAX_DEPTH}, or a range, not {raw!r}."
            )
        return Const(raw), raw, raw

    def _part(
        self, key: Key, name: str, raw: Mapping[str, Any], depth: int, min_depth: int, users: Users
    ) -> Part:
        if "block" not in raw:
            raise self.document.error(key, "the key 'block' is missing.")
        chosen, names = self._block_choice([*key, "block"], name, raw["block"], depth, min_depth)
        blocks = tuple(self._block([*key, "block"], each) for each in names)
        fields = {field: spec for block in blocks for field, spec in block.fields.items()}
        for field in raw:
            if field not in fields and field != "block":
                allowed = [*fields, *STAGE_KEYS]
                raise self.document.error(
                    [*key, field], unknown(f"key for block {names[0]!r}", field, allowed)
                )
        sources: dict[str, Source] = {}
        users = users.choosing(name, chosen, names, depth)
        for field in [*[k for k in raw if k in fields], *[k for k in fields if k not in raw]]:
            takers = [block.name for block in blocks if field in block.fields]
            full = f"{name}.{field}"
            source = self._field([*key, field], full, fields[field], raw.get(field), depth, users, takers)
            sources[field] = self.sources[full] = source
            self.effects.own.setdefault(full, users.condition(takers, strides=fields[field].strided))
        return Part(name, chosen, blocks, sources)

    def _block(self, key: Key, name: Any) -> Block:
        if name not in BLOCKS:
            raise self.document.error(key, unprovided("block", str(name), BLOCKS))
        return BLOCKS[name]

    def _block_choice(
        self, key: Key, name: str, raw: Any, depth: int, min_depth: int
    ) -> tuple[Const | Chosen | Suffix, list[str]]:
        if isinstance(raw, str):
            return Const(raw), [raw]
        if isinstance(raw, Mapping) and "suffix" in raw:
            return self._suffix(key, name, raw, depth, min_depth)
        spec = parse_range(self.document, key, raw)
        words = [str(value) for value in spec.values]
        for position in range(depth if spec.per_block else 1):
            own = f"{name}.block[{position}]" if spec.per_block else f"{name}.block"
            needs = f"{name}.depth > {position}" if position >= min_depth else None
            self.add(key, own, spec, needs)
        return Chosen(f"{name}.block", spec.per_block), words

    def _suffix(
        self, key: Key, name: str, raw: Mapping[str, Any], depth: int, min_depth: int
    ) -> tuple[Suffix, list[str]]:
        for needed in ("suffix", "otherwise", "count"):
            if needed not in raw:
                raise self.document.error(
                    key, f"the key {needed!r} is missing: {{suffix, otherwise, count}}."
                )
        for extra in raw:
            if extra not in ("suffix", "otherwise", "count"):
                raise self.document.error(
                    [*key, extra], unknown("key", extra, ("suffix", "otherwise", "count"))
                )
        last, first = str(raw["suffix"]), str(raw["otherwise"])
        if "identity" in (last, first):
            raise self.document.error(
                key, "'identity' cannot be part of a suffix; choose the 'depth' instead."
            )
        if not is_range(raw["count"]):
            source = self._number([*key, "count"], raw["count"], Field(low=0), name)
            if not isinstance(source, Const):
                raise self.document.error([*key, "count"], "'count' is a whole number or a range.")
            return Suffix(source, last, first), [last, first]
        spec = parse_range(self.document, [*key, "count"], raw["count"], low=0)
        if max(int(value) for value in spec.values) > depth:
            raise self.document.error([*key, "count"], f"'count' goes beyond the largest depth, {depth}.")
        self.add([*key, "count"], f"{name}.count", spec, f"{name}.depth > 0" if min_depth == 0 else None)
        return Suffix(Chosen(f"{name}.count"), last, first), [last, first]

    def _field(
        self, key: Key, name: str, spec: Field, raw: Any, depth: int, users: Users, takers: list[str]
    ) -> Source:
        field = name.rsplit(".", 1)[1]
        if raw is None:
            if spec.default is None:
                raise self.document.error(key[:-1], f"the key {field!r} is missing ({spec.about}).")
            raw = spec.default
        if not is_range(raw):
            return (
                self._word(key, raw, spec, name.rsplit(".", 1)[0])
                if spec.words
                else self._number(key, raw, spec, name.rsplit(".", 1)[0])
            )
        choice = parse_range(self.document, key, raw, low=None if spec.words else spec.low)
        if spec.words:
            for word in choice.values:
                self._word(key, word, spec, "")
        else:
            self._check_values(key, choice.values, spec)
        for position in range(depth) if choice.per_block else [None]:
            own = name if position is None else f"{name}[{position}]"
            self.add(key, own, choice, users.condition(takers, position, spec.strided))
        return Chosen(name, choice.per_block)

    def _word(self, key: Key, raw: Any, spec: Field, name: str) -> Source:
        """One of a field's words, or `STAGE.FIELD`: the word of another field."""
        if name and isinstance(raw, str) and "." in raw and raw not in spec.words:
            return self._derived(key, raw, spec, name)
        if raw not in spec.words:
            raise self.document.error(key, unknown("value", str(raw), spec.words))
        return Const(str(raw))

    def _check_values(self, key: Key, values: Sequence[Any], spec: Field) -> None:
        problem = next((text for text in map(spec.problem, values) if text), None)
        if problem:
            raise self.document.error(key, f"{problem}.")

    def _number(self, key: Key, raw: Any, spec: Field, name: str) -> Source:
        if isinstance(raw, (int, float)):
            self._check_values(key, [raw], spec)
            return Const(int(raw))
        if isinstance(raw, str):
            return self._derived(key, raw, spec, name)
        raise self.document.error(key, f"a number, a choice or an expression is needed, not {raw!r}.")

    def _derived(self, key: Key, raw: str, spec: Field, name: str) -> Derived:
        expression = self.expression(key, raw)
        self.derived.append((key, name.split(".")[0], expression, spec))
        return Derived(expression)

    def expression(self, key: Key, text: str) -> Expression:
        """Parse an expression written at `key`."""
        try:
            return parse(text)
        except ExpressionError as error:
            raise self.document.error(key, f"{error}.") from None

    def check_expressions(self) -> None:
        """Every name in a derived field must be a decision or field."""
        for key, stage, expression, _ in self.derived:
            self.check_names(key, expression, stage)

    def check_names(self, key: Key, expression: Expression, stage: str = "") -> None:
        """Raise for a name that is neither a decision nor a field."""
        known = {decision.name for decision in self.decisions} | set(self.sources)
        for name in expression.names:
            if name not in known and f"{stage}.{name}" not in known:
                raise self.document.error(key, unknown("name", name, known))
            source = self.sources.get(f"{stage}.{name}", self.sources.get(name))
            if isinstance(source, Chosen) and source.per_block:
                raise self.document.error(key, f"{name!r} is chosen per block; write {name}[0], {name}[1], …")


def _may_vanish(block: Any) -> bool:
    """Whether one choice of block for the whole stage may be identity."""
    values = block.get("values") if isinstance(block, Mapping) and block.get("per") != "block" else block
    return isinstance(values, list) and "identity" in values
