"""Loading a space from its file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nas.blocks.base import Field
from nas.blocks.counting import describe
from nas.blocks.registry import CONVERTERS
from nas.errors import ConfigError, NasError, unknown
from nas.quantity import parse_quantity
from nas.space.batch import Arch
from nas.space.elimination import MAX_CELLS, TooCoupledError
from nas.space.expression import ExpressionError
from nas.space.lowering import Blueprint, Slot, StageError
from nas.space.parse import RESOLUTION, Parser
from nas.space.resolver import Resolver, cells
from nas.space.rules import Rule, linear_terms
from nas.space.schema import RuleFile, SpaceFile
from nas.space.space import Space
from nas.space.stage import Chosen, Stage, Suffix
from nas.yamlfile import Document, load_document, validate

EVALUATION = (ExpressionError, TypeError, ArithmeticError, MemoryError)


def load_space(name_or_path: str | Path) -> Space:
    """The space of that name (`elasticvit`) or at that path (`spaces/elasticvit.yaml`).

    Raises:
        ConfigError: anything wrong with the file: where it is and what would be right.
    """
    from nas.content import find

    document = load_document(find("spaces", name_or_path))
    return _build(document, validate(document, SpaceFile))


def _build(document: Document, file: SpaceFile) -> Space:
    parser = Parser(document)
    blueprint = _blueprint(parser, file)
    if not parser.decisions:
        raise ConfigError("the space has no decision: nothing to choose.", path=document.path)
    parser.check_expressions()
    parser.finish()
    resolver = Resolver(parser.decisions, parser.sources)
    _check_circles(parser, resolver)
    compacted = [stage.name for stage in (blueprint.stages if blueprint else ()) if _compactable(stage)]
    rules = [_rule(parser, resolver, index, raw) for index, raw in enumerate(file.rules)]
    rules += [_identity_rule(parser, resolver, name) for name in compacted]
    suffixed = [stage.name for stage in (blueprint.stages if blueprint else ()) if _shortens(stage)]
    rules += [_suffix_rule(parser, resolver, name) for name in suffixed]
    space = Space(
        name=file.name,
        about=file.about,
        decisions=parser.decisions,
        sources=parser.sources,
        rules=rules,
        blueprint=blueprint,
        sampling=file.sampling,
        requirements=file.requirements,
        recipes=file.recipes,
        published=file.published,
        definition={key: document.data.get(key) for key in ("input", "stages")}
        | ({"outputs": file.outputs} if file.outputs else {}),
        compacted=compacted,
        suffixed=suffixed,
    )
    _check_size(document, space)
    for name, values in file.presets.items():
        space.presets[name] = _preset(document, space, name, values)
    for name in file.published.top1:
        if name not in file.presets:
            raise document.error(["published", "top1", name], unknown("preset", name, file.presets))
    if blueprint is not None:
        _check_lowering(document, space, blueprint)
    _check_sampling(document, space)
    return space


def _blueprint(parser: Parser, file: SpaceFile) -> Blueprint | None:
    if not file.stages:
        if file.input is not None:
            raise parser.document.error(["input"], "a space without stages has no input.")
        parser.free_decisions(file.decisions)
        return None
    if file.input is None:
        raise ConfigError("the key 'input' is missing: the deployment resolution.", path=parser.document.path)
    resolution, width = parser.resolution(file.input.resolution)
    parser.free_decisions(file.decisions)
    stages = tuple(parser.stage(name, raw) for name, raw in file.stages.items())
    for stage in stages:
        if stage.min_depth == 0 and stage.stride != 1:
            raise parser.document.error(
                ["stages", stage.name, "depth"],
                "a stage that may be empty cannot have a stride; start it at 1.",
            )
    for index, name in enumerate(file.outputs):
        parser.check_stream(["outputs", index], name)
    return Blueprint(
        stages,
        parser.sources,
        resolution,
        file.input.channels,
        file.input.classes,
        width,
        tuple(file.outputs),
    )


def _check_circles(parser: Parser, resolver: Resolver) -> None:
    for field in parser.derived:
        key, stage, expression = field.key, field.stage, field.expression
        try:
            scope = resolver.scope(expression, stage)
        except RecursionError:
            raise parser.document.error(key, "fields are derived from each other in a circle.") from None
        if cells(parser.decisions, scope) > MAX_CELLS:
            continue
        for position in range(field.depth) if field.by_position else [None]:
            try:
                found = resolver.values(expression, scope, stage, position, field.depth)
            except EVALUATION as error:
                raise parser.document.error(key, f"{expression.text!r} has no value: {error}.") from None
            values = np.unique(np.atleast_1d(found)).tolist()
            problem = next((text for text in map(field.spec.problem, values) if text), None)
            if problem:
                where = "" if position is None else f" of block {position}"
                raise parser.document.error(key, f"{expression.text!r}{where}: {problem}.")


def _compactable(stage: Stage) -> bool:
    block = stage.body.block
    names = [b.name for b in stage.body.blocks]
    return isinstance(block, Chosen) and block.per_block and "identity" in names


def _shortens(stage: Stage) -> bool:
    block = stage.body.block
    return isinstance(block, Suffix) and isinstance(block.count, Chosen) and isinstance(stage.depth, Chosen)


def _identity_rule(parser: Parser, resolver: Resolver, stage: str) -> Rule:
    """Identity blocks stand at the end of a stage, as few as the depths allow: equal networks have one form."""
    blocks = next(i for i in count() if f"{stage}.block[{i}]" not in resolver.index)
    depth = f"{stage}.depth"
    values = (
        [int(v) for v in parser.decisions[resolver.index[depth]].values]
        if depth in resolver.index
        else [blocks]
    )
    parts = []
    for i in range(blocks - 1):
        ends = f" or {depth} <= {i + 1}" if i + 1 >= values[0] else ""
        parts.append(f"({stage}.block[{i}] != 'identity' or {stage}.block[{i + 1}] == 'identity'{ends})")
    for shorter, value in pairwise(values):
        parts.append(f"({depth} != {value} or {stage}.block[{shorter}] != 'identity')")
    expression = parser.expression(["stages", stage, "block"], " and ".join(parts) or "1 == 1")
    return Rule(expression, "identity blocks stand last", resolver.scope(expression), False)


def _suffix_rule(parser: Parser, resolver: Resolver, stage: str) -> Rule:
    """A suffix longer than the stage is written as the shortest that covers it."""
    values = parser.decisions[resolver.index[f"{stage}.count"]].values
    parts = [
        f"({stage}.count != {value} or {stage}.depth > {shorter})" for shorter, value in pairwise(values)
    ]
    expression = parser.expression(["stages", stage, "block"], " and ".join(parts) or "1 == 1")
    return Rule(expression, "the shortest suffix that covers the stage", resolver.scope(expression), False)


def _rule(parser: Parser, resolver: Resolver, index: int, raw: str | RuleFile) -> Rule:
    key: list[str | int] = ["rules", index]
    file = raw if isinstance(raw, RuleFile) else RuleFile(require=raw)
    expression = parser.expression(key, file.require)
    parser.check_names(key, expression)
    scope = resolver.scope(expression)
    if not scope:
        raise parser.document.error(key, f"{file.require!r} reads no decision: it always or never holds.")
    rule = Rule(expression, file.why, scope, file.scope == "global")
    if not rule.is_global:
        _check_local(parser, resolver, key, rule)
    return rule


def _check_local(parser: Parser, resolver: Resolver, key: Sequence[str | int], rule: Rule) -> None:
    for part in rule.expression.conjuncts():
        scope = resolver.scope(part)
        if cells(parser.decisions, scope) > MAX_CELLS:
            if linear_terms(part) is None:
                raise parser.document.error(
                    key,
                    f"{part.text!r} ties {len(scope)} decisions together, too many to count exactly; mark the rule "
                    "'scope: global' (sampled by bounded rejection, size estimated).",
                )
            continue
        try:
            condition = np.asarray(resolver.values(part, scope)).dtype == bool
            holds = condition and bool(resolver.truth(part, scope).any())
        except EVALUATION as error:
            raise parser.document.error(key, f"{part.text!r} has no truth value: {error}.") from None
        if not condition:
            raise parser.document.error(key, f"{part.text!r} is no truth value: a comparison is needed.")
        if not holds:
            raise parser.document.error(key, f"{part.text!r} never holds: no architecture is left.")


def _check_size(document: Document, space: Space) -> None:
    try:
        total, _ = space.size()
    except TooCoupledError:
        raise ConfigError(
            "the rules together tie too many decisions to count exactly; mark the widest 'scope: global'.",
            path=document.path,
            line=document.line(["rules"]),
            key="rules",
        ) from None
    if total == 0 and not any(rule.is_global for rule in space.rules):
        raise document.error(["rules"], "the rules contradict each other: no architecture is left.")


def _preset(document: Document, space: Space, name: str, values: dict[str, Any]) -> Arch:
    key = ["presets", name]
    for written in values:
        if written not in space.index:
            raise document.error([*key, written], unknown("decision", written, space.index))
    for decision in space.decisions:
        if decision.name not in values and decision.active_when is None:
            raise document.error(key, f"the decision {decision.name!r} is missing.")
    for decision in space.decisions:
        value = values.get(decision.name)
        if value is None:
            continue
        word = isinstance(decision.values[0], str)
        if (
            isinstance(value, bool)
            or isinstance(value, str) != word
            or not isinstance(value, (int, float, str))
        ):
            raise document.error(
                [*key, decision.name], f"{'a word' if word else 'a number'} is needed, not {value!r}."
            )
    arch = Arch(space, values)
    if space.contains(arch):
        return space.encode([arch])[0]
    if space.blueprint is None:
        raise document.error(key, f"{space.why_outside(arch)} A preset of a table must be one of its rows.")
    _check_buildable(document, key, space, arch)
    return arch


def _check_buildable(document: Document, key: Sequence[str | int], space: Space, arch: Arch) -> None:
    """A preset outside the space is built and costed all the same, so every field must have a right value."""
    try:
        slots = space.lower(arch)
    except (*EVALUATION, ValueError, NasError) as error:
        why = str(error).removesuffix(".")
        raise document.error(key, f"this network cannot be built: {why}.") from None
    for slot in slots:
        sides = {"h": RESOLUTION, "w": RESOLUTION, "channels": Field(), "hidden": Field()}
        fields = {**sides, **slot.unit.fields}
        for name, value in slot.sizes.items():
            field = fields.get({"cout": "width"}.get(name, name), Field(low=0))
            problem = None if field.words else field.problem(value)
            if problem:
                raise document.error(key, f"this network cannot be built: {slot.name}: {name}: {problem}.")


def _check_lowering(document: Document, space: Space, blueprint: Blueprint) -> None:
    """Lower a few archs, so that stages that cannot be built are found while the file is at hand."""
    for arch in space.sample(8, seed=0):
        try:
            slots = space.lower(arch)
        except StageError as error:
            raise document.error(["stages", *error.part.split(".")], _of_stage(error, arch)) from None
        _check_inputs(document, slots)
        _check_outputs(document, slots)
        widths = space.widths_of(arch)
        by_stage: dict[str, list[Slot]] = {}
        for slot in slots:
            leads_in = slot.name.startswith(
                f"{slot.stage}.downsample."
            )  # it may begin at the width of the stage before
            if slot.unit not in CONVERTERS.values() and not leads_in:
                by_stage.setdefault(slot.stage, []).append(slot)
        for stage in blueprint.stages:
            width = None if _sets_widths(stage) else widths[stage.name]
            own = by_stage.get(stage.name, [])
            wide = next((i for i, slot in enumerate(own) if "cout" in slot.sizes), 0)
            own = own[wide:]  # what a down-sampler does at the width that comes in is its own affair
            bad = next((s for s in own if s.sizes.get("channels", width) != width), None)
            if width is not None and bad is not None:
                raise document.error(
                    ["stages", stage.name, "width"],
                    f"block {bad.kind!r} keeps the width of its input ({bad.sizes['channels']}), so the stage cannot "
                    f"have width {width}; give it a 'downsample'.",
                )


def _of_stage(error: StageError, arch: Arch) -> str:
    """Why a stage cannot be built, and with which choices of its own."""
    stage = error.part.partition(".")[0]
    own = [f"{name} {value}" for name, value in arch.values.items() if name.partition(".")[0] == stage]
    return f"this stage cannot be built: {error.why}" + (
        f" It was tried with {', '.join(own)}." if own else ""
    )


def _check_inputs(document: Document, slots: Sequence[Slot]) -> None:
    """What a layer is handed has the shape that its sizes say: a block that knows no tokens before the map's, say,
    cannot take any."""
    for slot in slots:
        for given, taken in zip(slot.inputs, slot.unit.inputs(slot.sizes), strict=True):
            if slot.active and given.shape != taken.shape:
                extras = ", ".join(f"{name} {value}" for name, value in given.extras.items())
                raise document.error(
                    ["stages", slot.stage],
                    f"block {slot.kind!r} is handed {given.layout.words} of shape {given.shape}"
                    f"{f' ({extras})' if extras else ''}, but by its sizes it takes {taken.shape}.",
                )


def _check_outputs(document: Document, slots: Sequence[Slot]) -> None:
    """What a layer computes can be computed, and has the shape that the next one is told."""
    for slot in slots:
        if not slot.active:
            continue
        key = ["stages", slot.stage]
        try:
            out = describe(slot.unit, slot.sizes).cases[0].out
        except NasError as error:
            raise document.error(key, str(error)) from None
        if out != slot.out.shape:
            raise document.error(
                key,
                f"block {slot.kind!r} hands on {out} by its 'forward', but {slot.out.shape} by its 'plan'.",
            )


def _sets_widths(stage: Stage) -> bool:
    """Whether every block of the stage makes its own width of whatever comes in."""
    return all(any("cout" in unit.keys for unit in block.units) for block in stage.body.blocks)


def _check_macs(document: Document, key: Sequence[str | int], raw: str | int) -> None:
    try:
        macs = parse_quantity(raw, "MACs")
    except NasError as error:
        raise document.error(key, str(error)) from None
    if not 0 < macs < np.inf:
        raise document.error(key, f"{raw!r} is not above 0.")


def _check_sampling(document: Document, space: Space) -> None:
    if space.sampling is None:
        return
    for index, level in enumerate(space.sampling.levels):
        _check_macs(document, ["sampling", "levels", index], level)
    _check_macs(document, ["sampling", "window"], space.sampling.window)
    for index, minimum in enumerate(space.sampling.minimum):
        _check_macs(document, ["sampling", "minimum", index, "up_to"], minimum.up_to)
        key: list[str | int] = ["sampling", "minimum", index, "preset"]
        if minimum.preset not in space.presets:
            raise document.error(key, unknown("preset", minimum.preset, space.presets))
        if not space.contains(space.presets[minimum.preset]):
            raise document.error(key, f"{minimum.preset!r} lies outside the space.")
    for field in ("widths", "depths"):
        for index, name in enumerate(getattr(space.sampling, field)):
            if name not in space.index:
                raise document.error(["sampling", field, index], unknown("decision", name, space.index))
