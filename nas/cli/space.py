"""`nas space`: what a search space holds."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.output import echo, echo_table, text

if TYPE_CHECKING:
    from nas.latency.device import Device
    from nas.metrics import Metric
    from nas.space import Arch, Space

app = typer.Typer(help="Search spaces: check, show, sample, size, presets.", no_args_is_help=True)


class Format(StrEnum):
    """How listings are printed."""

    table = "table"
    json = "json"


SpaceArgument = Annotated[str, typer.Argument(help="A space's name or file.", metavar="SPACE")]
FormatOption = Annotated[Format, typer.Option("-f", "--format", help="How to print.")]
DeviceOption = Annotated[list[str] | None, typer.Option("--device", help="Latency on this device; repeat.")]


@app.command()
def check(space: SpaceArgument) -> None:
    """Check a space file and say what it holds."""
    from nas.search.objective import parse_constraint
    from nas.settings import WITH_INIT, make_settings

    loaded = _load(space)
    for requirement in loaded.requirements.values():
        for constraint in requirement:
            parse_constraint(constraint)
    for recipe, changes in loaded.recipes.items():
        make_settings("embedded" if recipe == WITH_INIT else recipe, [changes])
    size, exact = loaded.size()
    about = "" if exact else "about "
    echo(
        f"{loaded.name}: {len(loaded.decisions)} decisions, {len(loaded.rules)} rules, {about}{size:,} architectures"
    )
    for name, preset in loaded.presets.items():
        why = loaded.why_outside(preset)
        if why:
            echo(f"preset {name} lies outside the space: {why}")


@app.command("list")
def list_(device: DeviceOption = None, form: FormatOption = Format.table) -> None:
    """List the spaces with their presets: sizes, latency on a device, published accuracy."""
    from nas.content import names

    devices = _devices(device)
    rows = [_row(space, devices) for space in map(_load, names("spaces"))]
    if form is Format.json:
        echo(json.dumps(rows, indent=1))
        return
    from rich.table import Table

    latencies = [f"{each.name} (ms)" for each in devices]
    table = Table("space", "presets", "params (M)", "MACs (M)", *latencies, "top-1 (%)", "architectures")
    for row in rows:
        size = f"{row['architectures']:,}" if row["architectures"] < MANY else f"{row['architectures']:.1e}"
        latency = [_range(row["presets"], each.name) for each in devices]
        table.add_row(
            text(row["space"]),
            str(len(row["presets"])) if row["presets"] else "",
            _range(row["presets"], "params", 1e6),
            _range(row["presets"], "macs", 1e6),
            *latency,
            _range(row["presets"], "top1"),
            size,
        )
    echo_table(table)
    echo(
        "'nas space presets SPACE' lists the presets of one; latency as its device's description says.",
        err=True,
    )


MANY = 10**12


def _devices(names: list[str] | None) -> tuple[Device, ...]:
    from nas.latency.device import load_device

    loaded = tuple(load_device(name) for name in names or ())
    for device in loaded:
        echo(device.describe(), err=True)
    return loaded


def _row(space: Space, devices: tuple[Device, ...]) -> dict[str, Any]:
    """A space for `list`: its size, and for each preset costs, latency and what was published."""
    presets: dict[str, dict[str, float]] = {}
    if space.blueprint is not None:
        for name, arch in space.presets.items():
            metrics = _metrics(space, arch, ())
            presets[name] = {key: metrics[key].value for key in ("params", "macs")}
            for device in devices:
                presets[name][device.name] = _metrics(space, arch, (device,))["latency"].value
            if name in space.published.top1:
                presets[name]["top1"] = space.published.top1[name]
    size, _ = space.size()
    return {"space": space.name, "about": space.about, "architectures": size, "presets": presets}


def _range(presets: dict[str, dict[str, float]], key: str, divisor: float = 1.0) -> str:
    values = [preset[key] / divisor for preset in presets.values() if key in preset]
    if not values:
        return ""
    low, high = (f"{value:.3g}" if value < 1000 else f"{value:,.0f}" for value in (min(values), max(values)))
    return low if low == high else f"{low}–{high}"


@app.command()
def size(space: SpaceArgument, form: FormatOption = Format.table) -> None:
    """Count the distinct valid architectures, exactly, without enumerating them."""
    loaded = _load(space)
    count, exact = loaded.size()
    if form is Format.json:
        echo(json.dumps({"space": loaded.name, "size": count, "exact": exact}))
    else:
        echo(f"{count:,}" if exact else f"about {count:,} (estimated: the space has global rules)")


@app.command()
def show(space: SpaceArgument, form: FormatOption = Format.table) -> None:
    """List decisions, rules and requirements."""
    loaded = _load(space)
    decisions = [
        {"name": d.name, "kind": d.kind, "values": list(d.values), "active_when": d.active_when}
        for d in loaded.decisions
    ]
    rules = [{"require": rule.expression.text, "why": rule.why} for rule in loaded.rules]
    if form is Format.json:
        data = {"space": loaded.name, "hash": loaded.hash, "decisions": decisions, "rules": rules}
        echo(json.dumps({**data, "requirements": loaded.requirements}, indent=1))
        return
    from rich.table import Table

    table = Table("decision", "kind", "values", "has an effect")
    for d in loaded.decisions:
        values = ", ".join(str(value) for value in d.values)
        table.add_row(text(d.name), d.kind, text(values), text(d.active_when or "always"))
    echo_table(table)
    for rule in rules:
        echo(f"rule: {rule['require']}" + (f"  ({rule['why']})" if rule["why"] else ""))
    for name, texts in loaded.requirements.items():
        echo(f"requirement {name}: {', '.join(texts)}")


@app.command()
def sample(
    space: SpaceArgument,
    n: Annotated[int, typer.Option("-n", help="How many.", min=1)] = 5,
    seed: Annotated[int, typer.Option(help="Of the draw.", min=0)] = 0,
    distribution: Annotated[str, typer.Option(help="uniform or per-decision.")] = "uniform",
    device: DeviceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Draw architectures, with their costs."""
    loaded = _load(space)
    batch = loaded.sample(n, seed=seed, distribution=distribution)  # type: ignore[arg-type]
    named = {arch.id: arch for arch in batch}
    _archs(loaded, named, device, form, title="arch")


@app.command()
def presets(space: SpaceArgument, device: DeviceOption = None, form: FormatOption = Format.table) -> None:
    """List the named architectures, with their costs."""
    loaded = _load(space)
    if not loaded.presets:
        echo(f"space {loaded.name} has no presets.", err=True)
        if form is Format.table:
            return
    _archs(loaded, loaded.presets, device, form, title="preset")


def _archs(space: Space, archs: dict[str, Arch], devices: list[str] | None, form: Format, title: str) -> None:
    loaded = _devices(devices)
    rows = {name: _metrics(space, arch, loaded) for name, arch in archs.items()}
    published = space.published.top1 if title == "preset" else {}
    if form is Format.json:
        data = [
            {
                title: name,
                "arch_id": archs[name].id,
                "arch": archs[name].values,
                "metrics": {key: metric.to_json() for key, metric in metrics.items()},
                **({"published": {"top1": published[name]}} if name in published else {}),
            }
            for name, metrics in rows.items()
        ]
        echo(json.dumps(data, indent=1))
        return
    from rich.table import Table

    first = next(iter(rows.values()), {})
    names = list(first)
    told = ["published top-1 (%)"] if published else []
    table = Table(title, *[f"{name} ({_unit(metric)})" for name, metric in first.items()], *told)
    for name, metrics in rows.items():
        accuracy = [f"{published[name]:g}" if name in published else ""] if published else []
        table.add_row(text(name), *[text(_shown(metrics[key])) for key in names], *accuracy)
    echo_table(table)
    if published and space.published.source:
        echo(f"top-1: {space.published.source}", err=True)


def _metrics(space: Space, arch: Arch, devices: tuple[Device, ...]) -> dict[str, Metric]:
    from nas.pipeline.metrics import CheapMetrics

    return CheapMetrics(space, devices).metrics(arch)[0]


def _unit(metric: Metric) -> str:
    return {"MACs": "M", "params": "M", "bytes": "MiB"}.get(metric.unit, metric.unit)


def _shown(metric: Metric) -> str:
    divisor = {"MACs": 1e6, "params": 1e6, "bytes": 2.0**20}.get(metric.unit, 1.0)
    note = "" if metric.provenance == "counted" else f" {metric.provenance}"
    return f"{metric.value / divisor:.2f}{note}"


def _load(name: str) -> Space:
    from nas.space import load_space

    return load_space(name)
