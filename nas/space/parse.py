"""From a space file to decisions, stages and rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.blocks.base import Block, Field
from nas.blocks.per_head import HIGHEST, MOST_HEADS
from nas.blocks.registry import BLOCKS
from nas.errors import unknown, unprovided
from nas.space.decision import Decision
from nas.space.effect import Effects, Users, readers_of
from nas.space.expression import Expression, ExpressionError, parse
from nas.space.lowering import INPUT
from nas.space.schema import EACH, Range, check_name, is_range, parse_range
from nas.space.stage import PLACE, Chosen, Const, Derived, Each, Part, Source, Stage, Suffix
from nas.yamlfile import Document

STAGE_KEYS = ("block", "depth", "stride", "downsample", "keep", "reads")
RESOLUTION = Field(low=1, high=8192)
MAX_DEPTH = 1000
Key = Sequence[str | int]


@dataclass(frozen=True)
class DerivedField:
    """A field that an expression gives: where it is written, its stage, what it is for, the stage's largest depth."""

    key: Key
    stage: str
    expression: Expression
    spec: Field
    depth: int

    @property
    def by_position(self) -> bool:
        """Whether it reads the place of its block."""
        return any(name in PLACE for name in self.expression.names)


class Parser:
    """Collects the decisions of a document in the order in which they stand there."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.decisions: list[Decision] = []
        self.sources: dict[str, Source] = {}
        self.derived: list[DerivedField] = []
        self.effects = Effects()
        self.streams: list[str] = [INPUT]
        self._names: set[str] = set()

    def add(self, key: Key, name: str, spec: Range, active_when: str | None = None) -> None:
        """Append one decision, which has an effect under `active_when` (None: always)."""
        if name in self._names:
            raise self.document.error(key, f"two decisions are called {name!r}.")
        self._names.add(name)
        self.decisions.append(Decision(name, spec.values, spec.kind))
        self.effects.own[name] = active_when

    def finish(self) -> None:
        """Settle under which conditions each decision has an effect, once all of them are known."""
        readers = readers_of(
            {name: source.expression for name, source in self.sources.items() if isinstance(source, Derived)}
        )
        self.decisions = [
            Decision(d.name, d.values, d.kind, self.effects.of(d.name, readers)) for d in self.decisions
        ]

    def free_decisions(self, raw: Mapping[str, Any]) -> None:
        """Decisions that belong to no stage."""
        for name, value in raw.items():
            key = ["decisions", name]
            check_name(self.document, key, name)
            self.add(key, name, parse_range(self.document, key, value))

    def resolution(self, raw: Any) -> tuple[Source, Source | None]:
        """The deployment resolution: a number or a decision called `resolution`; of a rectangle also its width."""
        key = ["input", "resolution"]
        if not isinstance(raw, Mapping) or not {"height", "width"} & set(raw):
            return self._side(key, raw), None
        for name in raw:
            if name not in ("height", "width"):
                raise self.document.error([*key, name], unknown("key", str(name), ("height", "width")))
        for name in ("height", "width"):
            if name not in raw:
                raise self.document.error(key, f"the key {name!r} is missing: {{height: 512, width: 1024}}.")
        height = self._side([*key, "height"], raw["height"])
        if is_range(raw["width"]):
            raise self.document.error(
                [*key, "width"],
                "a width follows the height: a number, or an expression such as 'resolution * 2'.",
            )
        return height, self._number([*key, "width"], raw["width"], RESOLUTION, "")

    def _side(self, key: Key, raw: Any) -> Source:
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
        own = {k: v for k, v in raw.items() if k not in STAGE_KEYS or k == "block"}
        reads = self._reads([*key, "reads"], raw.get("reads"), low)
        if downsample is not None:
            before = self._downsample(key, name, downsample, own, low)
        strided = stride != 1 and downsample is None
        body = self._part(key, name, own, high, low, Users(name, low, strided))
        self._check_stride([*key, "stride"], stride, before or body)
        self._check_joins([*key, "reads"], reads, before or body)
        keep = self._keep([*key, "keep"], raw.get("keep"))
        return Stage(name, body, depth, low, high, stride, before, reads, keep)

    def _reads(self, key: Key, raw: Any, low: int) -> tuple[str, ...]:
        if raw is None:
            return ()
        if not isinstance(raw, list) or not raw:
            raise self.document.error(
                key, f"'reads' is a list of kept streams such as [{INPUT}], not {raw!r}."
            )
        for index, name in enumerate(raw):
            self.check_stream([*key, index], name)
        if low == 0:
            raise self.document.error(
                key, "a stage that reads kept streams cannot be empty; start its depth at 1."
            )
        return tuple(raw)

    def check_stream(self, key: Key, name: Any) -> None:
        """Raise for a stream that no stage so far keeps."""
        if name not in self.streams:
            raise self.document.error(key, unknown("kept stream", str(name), self.streams))

    def _keep(self, key: Key, raw: Any) -> str:
        if raw is None:
            return ""
        if not isinstance(raw, str):
            raise self.document.error(key, f"'keep' is a name, not {raw!r}.")
        check_name(self.document, key, raw)
        if raw in self.streams:
            raise self.document.error(key, f"a stream called {raw!r} is kept already.")
        self.streams.append(raw)
        return raw

    def _check_joins(self, key: Key, reads: tuple[str, ...], part: Part) -> None:
        """Several streams go to a block that joins them, and such a block reads streams."""
        for block in part.blocks:
            joins = bool(block.units) and block.units[0].joins
            if reads and not block.units:
                raise self.document.error(key, "a stage that reads kept streams cannot be identity.")
            if len(reads) > 1 and not joins:
                raise self.document.error(
                    key,
                    f"block {block.name!r} takes one stream, not {', '.join(reads)}; a block that joins can.",
                )
            if joins and not reads:
                raise self.document.error(
                    key[:-1],
                    f"block {block.name!r} joins streams: say which, reads: [{', '.join(self.streams)}].",
                )

    def _check_stride(self, key: Key, stride: int, part: Part) -> None:
        for unit in (block.units[block.strided] for block in part.blocks if block.units):
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
        if "width" not in own and "width" not in raw:
            raise self.document.error(
                key, "a stage with a down-sampler needs 'width', its own or the down-sampler's."
            )
        given = {"width": f"{name}.width", **raw} if "width" in own else raw
        return self._part(inner, f"{name}.downsample", given, 1, 1, Users(name, low))

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
        self._check_roles([*key, "block"], blocks)
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
            source = self._field([*key, field], full, fields[field], raw, depth, users, takers)
            sources[field] = self.sources[full] = source
            self.effects.own.setdefault(full, users.condition(takers, strides=fields[field].strided))
        return Part(name, chosen, blocks, sources)

    def _check_roles(self, key: Key, blocks: Sequence[Block]) -> None:
        """Blocks that are chosen between share the weights of a role, which therefore is of one kind."""
        kinds: dict[str, str] = {}
        for block in blocks:
            for member in block.members:
                known = kinds.setdefault(member.role, member.unit.kind)
                if known != member.unit.kind:
                    raise self.document.error(
                        key,
                        f"role {member.role!r} is of kind {known!r} in one block, {member.unit.kind!r} in another.",
                    )

    def _block(self, key: Key, name: Any) -> Block:
        if name not in BLOCKS:
            raise self.document.error(key, unprovided("block", str(name), BLOCKS))
        return BLOCKS[name]

    def _block_choice(
        self, key: Key, name: str, raw: Any, depth: int, min_depth: int
    ) -> tuple[Const | Each | Chosen | Suffix, list[str]]:
        if isinstance(raw, str):
            return Const(raw), [raw]
        if isinstance(raw, Mapping) and EACH in raw:
            names = [str(value) for value in self._each(key, raw, Field(words=tuple(BLOCKS)), depth)]
            return Each(tuple(names)), list(dict.fromkeys(names))
        if isinstance(raw, Mapping) and "suffix" in raw:
            return self._suffix(key, name, raw, depth, min_depth)
        spec = parse_range(self.document, key, raw)
        words, per_block = [str(value) for value in spec.values], spec.per == "block"
        if spec.per == "head":
            raise self.document.error(
                [*key, "per"], "a block is chosen per stage or per block, not per head."
            )
        for position in range(depth if per_block else 1):
            own = f"{name}.block[{position}]" if per_block else f"{name}.block"
            needs = f"{name}.depth > {position}" if position >= min_depth else None
            self.add(key, own, spec, needs)
        return Chosen(f"{name}.block", per_block), words

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
        self,
        key: Key,
        name: str,
        spec: Field,
        stage: Mapping[str, Any],
        depth: int,
        users: Users,
        takers: list[str],
    ) -> Source:
        part, _, field = name.rpartition(".")
        raw = stage.get(field)
        if raw is None:
            if spec.default is None:
                raise self.document.error(key[:-1], f"the key {field!r} is missing ({spec.about}).")
            raw = spec.default
        if isinstance(raw, Mapping) and EACH in raw:
            return Each(tuple(self._each(key, raw, spec, MOST_HEADS if spec.heads else depth)))
        if not is_range(raw):
            return (
                self._word(key, raw, spec, part) if spec.words else self._number(key, raw, spec, part, depth)
            )
        choice = parse_range(self.document, key, raw, low=None if spec.words else spec.low)
        self._check_choice(key, choice.values, spec)
        if choice.per == "head":
            heads = self._most_heads(key, field, spec, stage)
            for head in range(heads):
                there, enough = (
                    users.condition(takers, None, spec.strided),
                    self._has_head(part, spec, stage, head),
                )
                needs = " and ".join(f"({text})" for text in (there, enough) if text)
                self.add(key, f"{name}[{head}]", choice, needs or None)
            return Chosen(name, heads=heads)
        for position in range(depth) if choice.per == "block" else [None]:
            own = name if position is None else f"{name}[{position}]"
            self.add(key, own, choice, users.condition(takers, position, spec.strided))
        return Chosen(name, choice.per == "block")

    def _check_choice(self, key: Key, values: Sequence[Any], spec: Field) -> None:
        if spec.words:
            for word in values:
                self._word(key, word, spec, "")
        else:
            self._check_values(key, values, spec)

    def _each(self, key: Key, raw: Mapping[str, Any], spec: Field, most: int) -> list[Any]:
        """A fixed value per block, or per head."""
        values = raw[EACH]
        extra = next((name for name in raw if name != EACH), None)
        if extra is not None:
            raise self.document.error([*key, extra], f"{EACH!r} stands alone: {{{EACH}: [4, 4, 3]}}.")
        if not isinstance(values, list) or not 1 <= len(values) <= most:
            raise self.document.error(
                [*key, EACH], f"a list of 1 to {most} values is needed, not {values!r}."
            )
        self._check_choice([*key, EACH], values, spec)
        return values

    def _most_heads(self, key: Key, field: str, spec: Field, stage: Mapping[str, Any]) -> int:
        if not spec.heads:
            raise self.document.error(
                [*key, "per"], f"{field!r} has no value per head; 'per' is stage or block."
            )
        raw = stage.get(spec.heads)
        if is_range(raw):
            numbers = parse_range(self.document, [*key[:-1], spec.heads], raw).values
        elif isinstance(raw, int):
            numbers = (raw,)
        else:
            raise self.document.error(
                [*key, "per"], f"a choice per head needs {spec.heads!r} as a number or a range."
            )
        most = max(int(number) for number in numbers)
        if most > MOST_HEADS:
            raise self.document.error([*key, "per"], f"at most {MOST_HEADS} heads can differ, not {most}.")
        return most

    def _has_head(self, part: str, spec: Field, stage: Mapping[str, Any], head: int) -> str | None:
        """The condition under which a block has this head; None where it always does."""
        return f"{part}.{spec.heads} > {head}" if is_range(stage.get(spec.heads)) else None

    def _word(self, key: Key, raw: Any, spec: Field, name: str) -> Source:
        """One of a field's words, or `STAGE.FIELD`: the word of another field."""
        if name and isinstance(raw, str) and "." in raw and raw not in spec.words:
            return self._derived(key, raw, spec, name)
        if raw not in spec.words:
            raise self.document.error(key, unknown("value", str(raw), spec.words))
        return Const(str(raw))

    def _check_values(self, key: Key, values: Sequence[Any], spec: Field) -> None:
        problem = next((text for text in map(spec.problem, values) if text), None)
        if spec.heads and not problem and any(value > HIGHEST for value in values):
            problem = f"a value per head is at most {HIGHEST}, not {max(values)}"
        if problem:
            raise self.document.error(key, f"{problem}.")

    def _number(self, key: Key, raw: Any, spec: Field, name: str, depth: int = 1) -> Source:
        if isinstance(raw, (int, float)):
            self._check_values(key, [raw], spec)
            return Const(int(raw))
        if isinstance(raw, str):
            return self._derived(key, raw, spec, name, depth)
        raise self.document.error(
            key,
            f"a number, a choice or an expression is needed, not {raw!r}. A choice is written [3, 5], "
            "{min: 1, max: 4} or {values: [3, 5], per: block}.",
        )

    def _derived(self, key: Key, raw: str, spec: Field, name: str, depth: int = 1) -> Derived:
        expression = self.expression(key, raw)
        self.derived.append(DerivedField(key, name.split(".")[0], expression, spec, depth))
        return Derived(expression)

    def expression(self, key: Key, text: str) -> Expression:
        """Parse an expression written at `key`."""
        try:
            return parse(text)
        except ExpressionError as error:
            raise self.document.error(key, f"{error}.") from None

    def check_expressions(self) -> None:
        """Every name in a derived field must be a decision or field."""
        for field in self.derived:
            self.check_names(field.key, field.expression, field.stage)

    def check_names(self, key: Key, expression: Expression, stage: str = "") -> None:
        """Raise for a name that is neither a decision nor a field."""
        for name in expression.names:
            if stage and name in PLACE:
                continue
            if not any(self._known(full) for full in (name, f"{stage}.{name}")):
                place = PLACE if stage else ()
                raise self.document.error(key, unknown("name", name, {*self._names, *self.sources, *place}))
            source = self.sources.get(f"{stage}.{name}", self.sources.get(name))
            if isinstance(source, Chosen) and source.indexed:
                per = "head" if source.heads else "block"
                raise self.document.error(key, f"{name!r} is chosen per {per}; write {name}[0], {name}[1], …")
            by_place = isinstance(source, Derived) and any(n in PLACE for n in source.expression.names)
            if isinstance(source, Each) or by_place:
                raise self.document.error(
                    key, f"{name!r} has a value for each block, so it has none by itself."
                )

    def _known(self, name: str) -> bool:
        return name in self._names or name in self.sources


def _may_vanish(block: Any) -> bool:
    """Whether one choice of block for the whole stage may be identity."""
    values = block.get("values") if isinstance(block, Mapping) and block.get("per") != "block" else block
    return isinstance(values, list) and "identity" in values
