"""What a run says of itself: whether its sampler acted, images suffice, predictions hold, networks know anything."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nas.accuracy.predictor import rank_correlation
from nas.pipeline.data import RunData
from nas.pipeline.finishing import FINAL
from nas.pipeline.progress import Reporter
from nas.pipeline.searching import LOOKS, Search
from nas.settings import RunSettings
from nas.store import Storage, StudyRow

Floats = NDArray[np.float64]

TRUSTED_TAU = 0.5
FEWEST_IMAGES = 100
"""Search images below which a run warns: on the embedded task 125 ranked networks at a Kendall tau of 0.8."""
FEWEST_TRIALS = 8
"""Accuracies from which their spread is estimated."""
COLLAPSED = 0.8


def sampler_warnings(facts: dict[str, float], reporter: Reporter) -> list[str]:
    """Whether the method acted: shares of exploited draws and of draws that the preference rule chose."""
    if "identity" in facts:
        return _identity_warnings(facts["identity"], reporter)
    if "exploited" not in facts:
        return []
    reporter.say(
        f"sampler: {facts['exploited']:.0%} of draws exploited, {facts['preferred']:.0%} chosen by preference"
    )
    if facts["exploited"] > 0 and facts["preferred"] > 0:
        return []
    warning = (
        "performance-aware sampling did not act: no draw was exploited, or none was chosen by preference."
    )
    reporter.warn(f"{warning} Smaller banks or more steps are needed.")
    return [warning]


def _identity_warnings(identity: float, reporter: Reporter) -> list[str]:
    reporter.say(
        f"relaxed training: identity has {identity:.0%} of the probability, on average over positions"
    )
    if identity < COLLAPSED:
        return []
    warning = "the relaxed supernet collapsed to identity: its importances say little."
    reporter.warn(f"{warning} A longer train.relaxed.warmup or a lower train.relaxed.lr helps.")
    return [warning]


def judge_predictor(search: Search, store: Storage, study: StudyRow, reporter: Reporter) -> None:
    """How well the accuracy predictor ranked architectures it had not seen, told and stored."""
    tau = search.correlation()
    n = len(search.pairs())
    if tau != tau:
        if n:
            reporter.warn(
                f"the predictor's rank correlation cannot be measured on {n} architectures it had not seen."
            )
        return
    trusted = tau >= TRUSTED_TAU
    store.add_facts(study.id, {"predictor": {"kendall": tau, "n": n, "trusted": trusted}})
    reporter.say(
        f"accuracy predictor, looks included: Kendall tau {tau:.2f} on {n} architectures not yet evaluated"
    )
    if not trusted:
        reporter.warn(
            f"with a rank correlation below {TRUSTED_TAU} the predictor's ranking is not to be trusted."
        )


def judge_chance(classes: int | None, store: Storage, study: StudyRow, reporter: Reporter) -> None:
    """Whether the network of the highest accuracy is better than guessing; told and stored where it is not.

    The search chooses it; its final accuracy, of other images, is judged where there is one.

    Args:
        classes: of the data; None: not known, and nothing is said.
    """
    rows = [row for row in store.front(study.id) if "accuracy" in row.metrics]
    if not classes or not rows:
        return
    best = max(rows, key=lambda row: row.metrics["accuracy"].value)
    accuracy = best.at(FINAL).get("accuracy", best.metrics["accuracy"])
    low = accuracy.value if accuracy.low is None else accuracy.low
    if low > 1 / classes:
        if store.study(study.name).facts.get("chance"):  # of a shorter study
            store.add_facts(study.id, {"chance": None})
        return
    store.add_facts(study.id, {"chance": {"classes": classes, "accuracy": accuracy.value, "low": low}})
    reporter.warn(
        f"the best network is not better than guessing: its accuracy is {accuracy.value:.1%} (95 %: from {low:.1%}), "
        f"a guess among {classes:,} classes has {1 / classes:.1%}. The front says nothing of its architectures; train "
        "longer (train.steps), or look at the data."
    )


def search_images(data: RunData, settings: RunSettings) -> int:
    """Images by which the search tells networks apart."""
    count = data.count("search")
    return min(count, settings.evaluate.images) if settings.evaluate.images else count


def few_images(data: RunData, settings: RunSettings, reporter: Reporter) -> list[str]:
    """Warn before anything is trained where the search has too few images to rank networks."""
    n = search_images(data, settings)
    if n >= FEWEST_IMAGES:
        return []
    half = 100 * 1.96 * (0.25 / n) ** 0.5
    held = data.count("train") + data.count("search")
    share = min(ceil(1000 * FEWEST_IMAGES / max(held, 1)) / 1000, 0.5)
    remedy = (
        f"--set data.search_share={share:g} holds out {round(share * held)}"
        if n == data.count("search")
        else f"--set evaluate.images={FEWEST_IMAGES} shows more of them"
    )
    warning = (
        f"{n} search images tell an accuracy to ±{half:.0f} points, so the search ranks networks by chance"
    )
    reporter.warn(f"{warning}; {remedy}.")
    return [f"{warning}."]


def judge_images(search: Search, data: RunData, store: Storage, study: StudyRow, reporter: Reporter) -> None:
    """How well so many search images can rank the networks that were evaluated, told and stored."""
    objectives = [objective.metric for objective in search.plan.objectives]
    if "accuracy" not in objectives:
        return
    column = search.strategy.values[:, objectives.index("accuracy")]
    n, accuracies = search_images(data, search.plan.settings), column[~np.isnan(column)]
    if len(accuracies) < FEWEST_TRIALS:
        return
    tau = expected_tau(accuracies, n)
    store.add_facts(study.id, {"search_images": {"n": n, "kendall": tau}})
    reporter.say(
        f"{n} search images rank the evaluated networks at an expected Kendall tau of {tau:.2f} "
        "(from their accuracies and the binomial noise of so many images)"
    )


def expected_tau(accuracies: Floats, images: int) -> float:
    """Kendall's tau to be expected between accuracies on so many images and those on endlessly many.

    The noise is binomial and independent from network to network; its variance is taken off that of the accuracies.

    Args:
        accuracies: measured on so many images, in 0..1, `(n,)`.
    """
    p = np.clip(accuracies, 0.5 / images, 1 - 0.5 / images)
    noise = p * (1 - p) / images
    kept = max(1 - noise.mean() / max(accuracies.var(), 1e-12), 0.0) ** 0.5
    true = accuracies.mean() + kept * (accuracies - accuracies.mean())
    first, second = np.triu_indices(len(true), 1)
    apart = np.abs(true[first] - true[second]) / np.sqrt(noise[first] + noise[second])
    return float(np.mean(2 * ndtr(apart) - 1))


def judge_looks(store: Storage, study: StudyRow, reporter: Reporter) -> None:
    """How well the cheap looks ranked the networks that were evaluated, told and stored."""
    looks = [data for _, data in store.series(study.id, LOOKS)]
    if not looks:
        return
    known = {trial.arch_id: trial.metrics for trial in store.trials(study.id)}
    pairs = np.array(
        [
            (look["accuracy"], known[look["arch_id"]]["accuracy"].value)
            for look in looks
            if "accuracy" in known.get(look["arch_id"], {})
        ]
    ).reshape(-1, 2)
    tau = rank_correlation(pairs[:, 0], pairs[:, 1])
    facts = {"n": len(looks), "evaluated": len(pairs), "detail": looks[0].get("detail", "")}
    store.add_facts(study.id, {"looks": {**facts, "kendall": None if np.isnan(tau) else tau}})
    agreed = (
        "" if np.isnan(tau) else f"; their order agrees with the evaluations at a Kendall tau of {tau:.2f}"
    )
    reporter.say(f"{len(looks)} candidates were looked at cheaply, {len(pairs)} of them evaluated{agreed}")
