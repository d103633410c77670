"""A study in a few sentences, and what its reader has to be warned of."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from nas.errors import NasError
from nas.metrics import Metric
from nas.report import candidates
from nas.report.candidates import Candidate
from nas.report.snapshot import Snapshot
from nas.report.units import amount, duration, interval, significant, title
from nas.report.words import listed
from nas.search.beside_presets import Beside, beside
from nas.search.objective import Objective as Searched
from nas.search.objective import parse_constraint
from nas.store import Objective

TRUSTED = 0.5  # rank correlation below which a predictor’s ranking is not to be relied on


def sentences(snapshot: Snapshot) -> list[str]:
    """The study in words, as HTML."""
    front = candidates.of_front(snapshot)
    found = [_searched(snapshot), _evaluated(snapshot), *_extremes(snapshot, front)]
    return [
        sentence for sentence in [*found, _against_presets(snapshot, front), _volume(snapshot)] if sentence
    ]


def warnings(snapshot: Snapshot) -> list[str]:
    """What keeps the results from being what they look like, as plain text; worst first."""
    noted = [str(warning) for warning in snapshot.facts.get("warnings") or []]
    found = [*_state(snapshot), *_empty(snapshot), *noted, *_form(snapshot)]
    found += _chance(snapshot)
    if not _mentions(noted, "predictor"):
        found += _predictor(snapshot)
    if not _mentions(noted, "exploit", "prefer", "sampler"):
        found += _sampler(snapshot)
    if snapshot.counts.get("failed"):
        found.append(f"{_count(snapshot.counts['failed'], 'evaluation')} failed and left no result.")
    return list(dict.fromkeys(found))


def _form(snapshot: Snapshot) -> list[str]:
    """Counts of studies that ran before the deployed network was what is priced."""
    counted = any(metric.provenance == "counted" for row in snapshot.front for metric in row.metrics.values())
    if not counted or "versions" not in snapshot.facts or "form" in snapshot.facts:
        return []
    return [
        "MACs, parameters and memory of this study are those of the network as it is trained; an earlier nas counted "
        "them so. They cannot be compared with those of newer studies, which are of the network as it is deployed."
    ]


def beside_presets(snapshot: Snapshot, front: Sequence[Candidate]) -> Beside | None:
    """The front beside the presets, members with the metrics of the final evaluation where there are any."""
    study = snapshot.study
    try:
        constraints = [parse_constraint(each["text"]) for each in study.constraints if "text" in each]
    except NasError:  # written by hand: what keeps it is not known
        return None
    if study.reference_point is None:
        return None
    return beside(
        [Searched(objective.name, objective.direction) for objective in study.objectives],
        [{**one.metrics, **one.final} for one in front],
        {preset.name: preset.metrics for preset in snapshot.presets},
        study.reference_point,
        constraints,
    )


def _searched(snapshot: Snapshot) -> str:
    study = snapshot.study
    aims = [f"{_wish(one)[0]} {_named(snapshot, one)}" for one in study.objectives]
    strategy = study.config.get("settings", {}).get("search", {}).get("strategy")
    how = f" by the strategy <em>{html.escape(str(strategy))}</em>" if strategy else ""
    return f"The space <em>{html.escape(study.space)}</em> was searched{how} for {listed(aims)}."


def _wish(objective: Objective) -> tuple[str, str]:
    """What is wanted of it, and what the best has: `("low", "lowest")`."""
    if objective.unit in ("MACs", "params"):
        return ("many", "most") if objective.direction == "max" else ("few", "fewest")
    return ("high", "highest") if objective.direction == "max" else ("low", "lowest")


def _named(snapshot: Snapshot, objective: Objective) -> str:
    called = title(objective.name, snapshot.device(objective.name))
    return html.escape(called if called.startswith("MACs") else called[:1].lower() + called[1:])


def _evaluated(snapshot: Snapshot) -> str:
    complete, violating = snapshot.study.n_complete, snapshot.counts.get("infeasible", 0)
    if not complete:
        return f"All {_count(violating, 'candidate')} violate a constraint." if violating else ""
    walls = [row.wall_s for row in snapshot.generations if row.wall_s is not None]
    phases = snapshot.facts.get("wall_s") or {}
    seconds = sum(phases.values()) if phases else max(walls, default=0.0)
    time = f" in {_unbroken(duration(seconds))}" if seconds else ""
    others = f"; {violating:,} more violate a constraint" if violating else ""
    were = "architecture was" if complete == 1 else "architectures were"
    size = len(snapshot.front)
    front = f" The Pareto front has <strong>{size:,}</strong> {'member' if size == 1 else 'members'}."
    return f"<strong>{complete:,}</strong> {were} evaluated{time}{others}.{front}"


def _extremes(snapshot: Snapshot, front: Sequence[Candidate]) -> list[str]:
    """The best front member by each objective; chosen by the search, told with the final number."""
    best: dict[str, list[Objective]] = {}
    for objective in snapshot.study.objectives if front else ():
        sign = -1.0 if objective.direction == "max" else 1.0
        member = min(front, key=lambda one: sign * one.metrics[objective.name].value)
        best.setdefault(member.name, []).append(objective)
    members = {member.name: member for member in front}
    return [_extreme(snapshot, members[name], objectives) for name, objectives in best.items()]


def _extreme(snapshot: Snapshot, member: Candidate, objectives: Sequence[Objective]) -> str:
    feats = [f"the {_wish(one)[1]} {_named(snapshot, one)}, {_reached(member, one)}" for one in objectives]
    others = [one for one in snapshot.study.objectives if one not in objectives]
    rest = ", ".join(f"{_named(snapshot, one)}: {_short(member.metrics[one.name])}" for one in others)
    name = html.escape(member.name[:1].upper() + member.name[1:])
    return f"{name} has {listed(feats)}{'; ' + rest if rest else ''}."


def _reached(member: Candidate, objective: Objective) -> str:
    told = _told(member.metrics[objective.name])
    final = member.final.get(objective.name)
    if final is None:
        return told
    where = html.escape(final.detail or "evaluated again")
    return f"{told} in the search and {_told(final)} at the end ({where})"


def _told(metric: Metric) -> str:
    facts = ", ".join(part for part in (interval(metric), metric.provenance) if part)
    return f"<strong>{_amount(metric)}</strong> ({html.escape(facts)})"


def _short(metric: Metric) -> str:
    ends = interval(metric)
    return _amount(metric) + (f" ({html.escape(ends)})" if ends else "")


def _amount(metric: Metric) -> str:
    return _unbroken(amount(metric.value, metric.unit))


def _unbroken(text: str) -> str:
    """As HTML, number and unit on one line."""
    return html.escape(text).replace(" ", "&nbsp;")


def _against_presets(snapshot: Snapshot, front: Sequence[Candidate]) -> str:
    compared = beside_presets(snapshot, front)
    if compared is None:
        return ""
    words = html.escape(compared.words)
    return f"On the same data, with the same weights, {words} (reached: values, not their intervals)."


def _volume(snapshot: Snapshot) -> str:
    from nas.report.hypervolume import hypervolume_data

    data = hypervolume_data(snapshot)
    if not len(data.values):
        return ""
    unit = f" {data.unit}" if data.unit else ""
    volume = f"<strong>{significant(float(data.values[-1]), 4)}</strong>{html.escape(unit)}"
    return (
        f"The front’s hypervolume is {volume} from the fixed reference point ({html.escape(data.reference)})."
    )


def _state(snapshot: Snapshot) -> list[str]:
    return {
        "running": ["This study is not finished: it was still running when this report was written."],
        "interrupted": ["This study was interrupted; repeat its command with --resume to continue it."],
        "lost": ["The process that ran this study is gone; repeat its command with --resume to continue it."],
        "failed": ["This study ended with an error; what it had found until then is shown."],
    }.get(snapshot.study.state, [])


def _empty(snapshot: Snapshot) -> list[str]:
    if snapshot.front:
        return []
    trials = snapshot.trials
    if not len(trials):
        return ["There are no trials yet."]
    violating = trials[(trials["state"] == "infeasible") & (trials["violation"] > 0)]
    if not len(violating):
        return ["The front is empty: no trial has a value for every objective."]
    nearest = violating.loc[violating["violation"].idxmin()]
    wanted = listed([_constraint(constraint) for constraint in snapshot.study.constraints])
    all_of = f"all {_count(len(violating), 'candidate')}" if len(violating) > 1 else "the only candidate"
    verb = "violate" if len(violating) > 1 else "violates"
    excess = significant(100 * float(nearest["violation"]))
    return [
        f"The front is empty: {all_of} {verb} {wanted or 'a constraint'}. The nearest is trial"
        f" {nearest['number']} ({nearest['arch_id']}), which exceeds it by {excess} %."
    ]


def _constraint(constraint: Mapping[str, object]) -> str:
    return str(constraint.get("text") or " ".join(str(value) for value in constraint.values()))


def _predictor(snapshot: Snapshot) -> list[str]:
    noted = snapshot.facts.get("predictor") or {}
    kendall = noted.get("kendall")
    if kendall is None or (kendall >= TRUSTED and noted.get("trusted", True)):
        return []
    return [
        f"The accuracy predictor’s ranking is not to be trusted: rank correlation {kendall:.2f}"
        f" on held-out candidates, {TRUSTED} is the least that counts."
    ]


def _chance(snapshot: Snapshot) -> list[str]:
    """Whether the best network guesses."""
    noted = snapshot.facts.get("chance") or {}
    if "accuracy" not in noted:
        return []
    accuracy, low, chance = (100 * value for value in (noted["accuracy"], noted["low"], 1 / noted["classes"]))
    return [
        f"The best network is not better than guessing: its accuracy is {accuracy:.1f} % (from {low:.1f} % on), a guess"
        f" among {noted['classes']:,} classes has {chance:.1f} %. The front says nothing of its architectures."
    ]


def _sampler(snapshot: Snapshot) -> list[str]:
    shares = snapshot.facts.get("sampler") or {}
    idle = [key for key in ("exploited", "preferred") if shares.get(key) == 0]
    return [f"The sampling method did not act: no draw was {listed(idle)}."] if idle else []


def _mentions(texts: Sequence[str], *words: str) -> bool:
    return any(word in text.lower() for text in texts for word in words)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
