"""A space: decisions, rules over them, and the blocks they configure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from nas.blocks.base import Form
from nas.errors import NasError, shortened, unknown
from nas.space.batch import Arch, ArchBatch, Codes, concatenate, value_hash
from nas.space.decision import Decision, Value
from nas.space.elimination import Chances, Elimination, Factor, TooCoupledError
from nas.space.expression import Expression, ExpressionError, as_mask, parse
from nas.space.lowering import Blueprint, Slot, lower
from nas.space.resolver import Resolver
from nas.space.rules import FactorBuilder, Rule
from nas.space.schema import PublishedFile, SamplingFile
from nas.space.stage import Chosen, Each, Scope, Source

if TYPE_CHECKING:
    from torch import nn

Distribution = Literal["uniform", "per-decision"]
MAX_ROUNDS = 200
SIZE_DRAWS = 20_000


class Space:
    """A family of models, or of measured architectures.

    Built by `nas.load_space`. Operations take and return arch batches, vectorised.

    Attributes:
        name: as in the file.
        decisions: in order.
        rules: what must hold.
        blueprint: stages and input for lowering; None for a table of measured architectures.
        presets: named architectures; may lie outside the ranges.
        requirements: named lists of constraints, as text.
        sampling: levels and smallest subnets for complexity-aware sampling, if the file gives them.
        recipes: settings this space changes in a named recipe.
        published: what was published of presets.
        definition: input and stages as plain data, for the hash.
    """

    def __init__(
        self,
        *,
        name: str,
        about: str,
        decisions: Sequence[Decision],
        sources: Mapping[str, Source],
        rules: Sequence[Rule],
        blueprint: Blueprint | None,
        sampling: SamplingFile | None,
        requirements: Mapping[str, list[str]],
        recipes: Mapping[str, dict[str, Any]],
        definition: Mapping[str, Any],
        published: PublishedFile | None = None,
        compacted: Sequence[str] = (),
        suffixed: Sequence[str] = (),
    ) -> None:
        self.name, self.about = name, about
        self.decisions = tuple(decisions)
        self.rules = tuple(rules)
        self.blueprint = blueprint
        self.sampling, self.requirements, self.recipes = sampling, dict(requirements), dict(recipes)
        self.definition = dict(definition)
        self.published = published or PublishedFile()
        self.presets: dict[str, Arch] = {}
        self.sources = dict(sources)
        self._compacted, self._suffixed = tuple(compacted), tuple(suffixed)
        self._resolver = Resolver(self.decisions, sources)
        self._conditions = [(i, parse(d.active_when)) for i, d in enumerate(decisions) if d.active_when]
        self.index = self._resolver.index

    @cached_property
    def digest(self) -> str:
        """64 hexadecimal digits over decisions, rules and blocks: equal for equal spaces."""
        content = {
            "decisions": [[d.name, d.values, d.kind, d.active_when] for d in self.decisions],
            "rules": [rule.expression.text for rule in self.rules],
            "stages": self.definition,
        }
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def hash(self) -> str:
        """The first 12 digits of `digest`."""
        return self.digest[:12]

    @cached_property
    def hash_tables(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """64-bit hash of each value of each decision, all in a row; where each decision's begin, `(n_decisions,)`."""
        hashes = [value_hash(d.name, value) for d in self.decisions for value in d.values]
        sizes = [len(d) for d in self.decisions]
        return np.array(hashes, dtype=np.uint64), np.cumsum([0, *sizes], dtype=np.int64)[:-1]

    @cached_property
    def _factors(self) -> tuple[FactorBuilder, tuple[Expression, ...]]:
        builder = FactorBuilder(self._resolver)
        builder.canonical()
        wide = [part for rule in self.rules if not rule.is_global for part in builder.add(rule.expression)]
        return builder, (*wide, *[rule.expression for rule in self.rules if rule.is_global])

    @cached_property
    def _elimination(self) -> Elimination:
        builder, _ = self._factors
        return Elimination(builder.sizes, builder.factors)

    @cached_property
    def _ordered(self) -> Elimination:
        builder, _ = self._factors
        try:
            return Elimination(builder.sizes, builder.factors, builder.order())
        except TooCoupledError:
            return self._elimination

    def size(self) -> tuple[int, bool]:
        """Number of distinct valid architectures, and whether it is exact.

        Exact by variable elimination; with `global` rules an estimate from 20,000 draws.
        """
        total = self._elimination.total
        if not self._factors[1]:
            return total, True
        codes = self._elimination.sample(SIZE_DRAWS, np.random.default_rng(0))[:, : len(self.decisions)]
        return round(total * float(self._global_mask(codes).mean())), False

    def sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        rng: np.random.Generator | None = None,
        distribution: Distribution = "uniform",
    ) -> ArchBatch:
        """Draw `n` valid archs, independently.

        Args:
            seed: seed of a fresh generator; give either this or `rng`.
            distribution: `uniform` over distinct valid archs, or `per-decision`: decisions in order, each
                uniform over its values that can still be completed.

        Raises:
            NasError: a negative `n`, or the `global` rules leave so few archs that bounded rejection finds none.
        """
        if n < 0:
            raise NasError(f"{n} architectures cannot be drawn; a number from 0 on is needed.")
        if distribution not in ("uniform", "per-decision"):
            raise NasError(unknown("distribution", distribution, ("uniform", "per-decision")))
        rng = rng if rng is not None else np.random.default_rng(seed)
        if distribution == "per-decision":
            return self._accepted(n, lambda count: self._ordered.sample_each(count, rng))
        return self._accepted(n, lambda count: self._elimination.sample(count, rng))

    def sample_by(self, n: int, chances: Chances, rng: np.random.Generator) -> ArchBatch:
        """Draw `n` valid archs, independently, from a distribution of one's own.

        Decisions are drawn in `drawing_order`, each in proportion to `chances` among its values that can still be
        completed, so that nothing needs repair.

        Args:
            chances: positive weights `(n, values)` or `(values,)` of the decision of an index, given the codes
                `(n, …)` drawn before it.

        Raises:
            NasError: as `sample`.
        """

        def weigh(variable: int, codes: Codes) -> NDArray[np.float64]:
            return chances(variable, codes) if variable < len(self.decisions) else np.ones(1)

        return self._accepted(n, lambda count: self._ordered.sample_by(count, rng, weigh))

    @cached_property
    def drawing_order(self) -> tuple[int, ...]:
        """Indices of the decisions in the order in which `sample_by` draws them."""
        return tuple(v for v in self._ordered.drawing_order if v < len(self.decisions))

    @cached_property
    def ties(self) -> tuple[tuple[int, ...], ...]:
        """Decisions that rules, or conditions under which they have an effect, tie together, by index."""
        conditions = [(*self._resolver.scope(expression), index) for index, expression in self._conditions]
        return tuple(tuple(sorted({*scope})) for scope in [*(rule.scope for rule in self.rules), *conditions])

    def _accepted(self, n: int, source: Callable[[int], Codes]) -> ArchBatch:
        """`n` draws from a source, those that the `global` rules refuse drawn again."""
        found: list[Codes] = []
        missing = n
        for _ in range(MAX_ROUNDS):
            want = missing if not self._factors[1] else 2 * missing + 16
            codes = source(want)[:, : len(self.decisions)]
            codes = codes[self._global_mask(codes)][:missing]
            found.append(codes)
            missing -= len(codes)
            if not missing:
                return ArchBatch(self, np.concatenate(found))
        raise NasError(
            f"space {self.name!r}: {n - missing} of {n} archs found in {MAX_ROUNDS} rounds of rejection; the rules "
            "marked 'scope: global' leave too few. Loosen them or make them local."
        )

    def _global_mask(self, codes: Codes) -> NDArray[np.bool_]:
        mask = np.ones(len(codes), dtype=bool)
        for expression in self._factors[1]:
            try:
                mask &= as_mask(expression(self.scope(codes)), len(codes))
            except ExpressionError as error:
                rule = shortened(expression.text)
                raise NasError(
                    f"space {self.name!r}: the rule {rule!r} has no truth value: {error}."
                ) from None
        return mask

    def columns(self, codes: Codes) -> dict[str, NDArray[Any]]:
        """Value arrays `(n,)` by decision name."""
        return {d.name: d.array[codes[:, i]] for i, d in enumerate(self.decisions)}

    def local_factors(self) -> list[Factor] | None:
        """Tables of what the rules and the canonical form allow; None where a rule is not a table over decisions."""
        builder, wide = self._factors
        return None if wide or len(builder.sizes) != len(self.decisions) else builder.factors

    def scope(self, codes: Codes) -> Scope:
        """Values of decisions and derived fields by name, for expressions."""
        return Scope(self.columns(codes), self.sources)

    def reads(self, expression: Expression) -> tuple[int, ...]:
        """Indices of the decisions an expression depends on."""
        return self._resolver.scope(expression)

    def truth(self, expression: Expression, scope: Sequence[int]) -> NDArray[np.bool_]:
        """Whether `expression` holds for every combination of the decisions `scope`, one axis per decision."""
        return self._resolver.truth(expression, scope)

    def active(self, codes: Codes) -> NDArray[np.bool_]:
        """Which decisions have an effect, bool `(n, n_decisions)`."""
        mask = np.ones(codes.shape, dtype=bool)
        if self._conditions:
            scope = self.scope(codes)
            for index, expression in self._conditions:
                mask[:, index] = as_mask(expression(scope), len(codes))
        return mask

    def valid(self, batch: ArchBatch) -> NDArray[np.bool_]:
        """Which archs keep every rule and are in canonical form, bool `(n,)`."""
        codes = batch.codes
        sizes = np.array([len(d) for d in self.decisions])
        mask: NDArray[np.bool_] = np.all((codes >= 0) & (codes < sizes), axis=1)
        inside = np.where(mask[:, None], codes, 0).astype(np.int16)
        scope = self.scope(inside)
        for rule in self.rules:
            mask &= as_mask(rule.expression(scope), len(codes))
        return mask & ~((inside != 0) & ~self.active(inside)).any(axis=1)

    def repair(self, batch: ArchBatch) -> ArchBatch:
        """The archs, moved to valid ones: decision by decision, to the nearest value that can be completed.

        Valid archs stay as they are. Rows that `global` rules still refuse are replaced by uniform draws,
        from a generator seeded by the row.
        """
        builder, _ = self._factors
        sizes = np.array([len(d) for d in self.decisions])
        codes = self.canonical(np.clip(batch.codes, 0, sizes - 1))
        extra = np.zeros((len(codes), len(builder.sizes) - len(self.decisions)), dtype=np.int16)
        fixed = self._ordered.nearest(np.concatenate([codes, extra], axis=1))[:, : len(self.decisions)]
        refused = np.flatnonzero(~self._global_mask(fixed))
        if len(refused):
            seed = int(ArchBatch(self, fixed[refused]).hashes.sum(dtype=np.uint64))
            fixed[refused] = self.sample(len(refused), seed=seed).codes
        return ArchBatch(self, fixed)

    def canonical(self, codes: NDArray[Any]) -> Codes:
        """Codes with every decision without effect at 0, and identity blocks moved to a stage's end."""
        codes = np.array(codes, dtype=np.int16)
        for stage in self._compacted:
            codes = self._compact(codes, stage)
        for stage in self._suffixed:
            depth, count = self.index[f"{stage}.depth"], self.index[f"{stage}.count"]
            deep = self.decisions[depth].array[codes[:, depth]]
            codes[:, count] = np.minimum(codes[:, count], np.searchsorted(self.decisions[count].array, deep))
        for _ in range(len(self.decisions)):
            cleared = np.where(self.active(codes), codes, 0).astype(np.int16)
            if np.array_equal(cleared, codes):
                break
            codes = cleared
        return codes

    @cached_property
    def _per_block(self) -> dict[str, dict[str, list[int]]]:
        """By stage, the decisions of each of its choices per block, by position."""
        choices: dict[str, dict[str, list[int]]] = {stage: {} for stage in self._compacted}
        for index, decision in enumerate(self.decisions):
            base, per_block, _ = decision.name.partition("[")
            stage = base.split(".")[0]
            if per_block and stage in choices and base != stage:
                choices[stage].setdefault(base, []).append(index)
        return choices

    def _compact(self, codes: Codes, stage: str) -> Codes:
        """Identity blocks of a stage moved to its end, with the choices of the blocks that move."""
        blocks = self._per_block[stage][f"{stage}.block"]
        count = len(blocks)
        identity = self.decisions[blocks[0]].values.index("identity")
        depth = self.index.get(f"{stage}.depth")
        n = len(codes)
        there = np.ones((n, count), dtype=bool)
        if depth is not None:
            there = np.arange(count) < self.decisions[depth].array[codes[:, depth]][:, None]
        real = there & (codes[:, blocks] != identity)
        order = np.argsort(~real, axis=1, kind="stable")
        kept = np.arange(count)[None, :] < real.sum(axis=1)[:, None]
        for base, columns in self._per_block[stage].items():
            moved = np.take_along_axis(codes[:, columns], order, axis=1)
            rest = identity if base == f"{stage}.block" else 0
            codes[:, columns] = np.where(kept, moved, rest)
        if depth is not None:
            values = self.decisions[depth].array
            shortest = np.maximum(real.sum(axis=1), values.min())
            codes[:, depth] = np.searchsorted(values, shortest)
        return codes

    def decode(self, codes: NDArray[Any]) -> ArchBatch:
        """A batch from codes, in canonical form."""
        return ArchBatch(self, self.canonical(codes))

    def encode(self, archs: Iterable[Mapping[str, Any] | Arch]) -> ArchBatch:
        """A batch from values by decision name; decisions without effect may be left out.

        Raises:
            NasError: an unknown or missing decision, a value outside its range, or a rule that is broken.
        """
        rows = [self._codes(arch.values if isinstance(arch, Arch) else arch) for arch in archs]
        batch = self.decode(np.array(rows, dtype=np.int16).reshape(len(rows), len(self.decisions)))
        bad = np.flatnonzero(~self.valid(batch))
        if len(bad):
            raise NasError(f"architecture {bad[0]} {self._broken(batch[bad[:1]])}.")
        return batch

    def _broken(self, batch: ArchBatch) -> str:
        scope = self.scope(batch.codes)
        broken = [r.expression.text for r in self.rules if not as_mask(r.expression(scope), 1)[0]]
        return f"breaks the rule {broken[0]!r}" if broken else "is not in canonical form"

    def _codes(self, values: Mapping[str, Any]) -> list[int]:
        for name in values:
            if name not in self.index:
                raise NasError(f"space {self.name!r}: {unknown('decision', str(name), self.index)}")
        codes = []
        for decision in self.decisions:
            if decision.name not in values:
                if decision.active_when is None:
                    raise NasError(f"space {self.name!r}: the decision {decision.name!r} is missing.")
                codes.append(0)
                continue
            code = decision.code(values[decision.name])
            if code is None:
                allowed = ", ".join(str(value) for value in decision.values)
                raise NasError(
                    f"{decision.name} = {values[decision.name]!r} is outside the space: {allowed}."
                )
            codes.append(code)
        return codes

    def contains(self, arch: Arch) -> bool:
        """Whether an arch (a preset, say) lies inside the space."""
        return not self.why_outside(arch)

    def why_outside(self, arch: Arch) -> str:
        """Why an arch lies outside the space; empty if it lies inside."""
        try:
            self.encode([arch])
        except NasError as error:
            return str(error)
        return ""

    def mutate(
        self, batch: ArchBatch, rng: np.random.Generator, probability: float | None = None
    ) -> ArchBatch:
        """Variation by decision type, then repair; see `nas.space.variation`."""
        from nas.space.variation import mutate

        return mutate(batch, rng, probability)

    def crossover(self, a: ArchBatch, b: ArchBatch, rng: np.random.Generator) -> ArchBatch:
        """Uniform crossover, then repair."""
        from nas.space.variation import crossover

        return crossover(a, b, rng)

    def features(self, batch: ArchBatch) -> tuple[NDArray[np.float32], list[str]]:
        """Inputs for predictors: ordinal values, one column per category, and masks of inert decisions."""
        from nas.space.variation import features

        return features(batch)

    def lower(
        self,
        batch: ArchBatch | Arch,
        *,
        scale: float = 1.0,
        classes: int | None = None,
        form: Form = "deploy",
    ) -> list[Slot]:
        """Slots of the networks; sizes are int arrays `(n,)` for a batch, ints for an arch.

        Args:
            scale: training resolution over deployment resolution.
            classes: number of classes, by default the deployment input's.
            form: as a device runs them, or as they are trained.
        """
        if self.blueprint is None:
            raise NasError(
                f"space {self.name!r} has no network behind it: its architectures are rows of a table."
            )
        values: Mapping[str, Any] = batch.values if isinstance(batch, Arch) else self.columns(batch.codes)
        if isinstance(batch, Arch):
            inert = {d.name: d.values[0] for d in self.decisions if d.name not in values}
            values = {**inert, **values}
        return lower(self.blueprint, values, scale=scale, classes=classes, form=form)

    def widths_of(self, arch: Arch) -> dict[str, int | None]:
        """Width each stage declares for an arch, by name, or None where it declares none."""
        scope = Scope({**{d.name: d.values[0] for d in self.decisions}, **arch.values}, self.sources)
        widths: dict[str, int | None] = {}
        for stage in self.blueprint.stages if self.blueprint else ():
            source = stage.body.fields.get("width")
            several = isinstance(source, Each) or (isinstance(source, Chosen) and source.indexed)
            declared = source is not None and not several
            widths[stage.name] = (
                (int(scope.value(source, stage.name)) or None) if source and declared else None
            )
        return widths

    def build(self, arch: Arch, *, num_classes: int | None = None, seed: int = 0) -> nn.Module:
        """The network of one arch as a static `torch.nn.Module`, freshly initialised.

        Raises:
            NasError: something else than one arch, or a space without a network.
        """
        if not isinstance(arch, Arch):
            raise NasError(f"one architecture is needed to build, batch[0] say, not {type(arch).__name__}.")
        from nas.supernet.network import build

        return build(self, arch, num_classes=num_classes, seed=seed)

    def batch(self, archs: Sequence[Arch]) -> ArchBatch:
        """A batch of archs that lie inside the space."""
        return self.encode(archs)

    def __repr__(self) -> str:
        return f"Space({self.name!r}, {len(self.decisions)} decisions, hash {self.hash})"


__all__ = ["Arch", "ArchBatch", "Decision", "Space", "Value", "concatenate"]
