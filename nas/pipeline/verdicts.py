"""What a run says of itself: whether its sampler acted and its predictor is to be trusted."""

from __future__ import annotations

from nas.pipeline.progress import Reporter
from nas.pipeline.searching import Search
from nas.store import Storage, StudyRow

TRUSTED_TAU = 0.5
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
    n = len(search.progress.pairs)
    if tau != tau:
        if search.predicts:
            reporter.warn(
                f"the predictor's rank correlation cannot be measured on {n} architectures it had not seen."
            )
        return
    trusted = tau >= TRUSTED_TAU
    store.add_facts(study.id, {"predictor": {"kendall": tau, "n": n, "trusted": trusted}})
    reporter.say(f"accuracy predictor: Kendall tau {tau:.2f} on {n} architectures it had not seen")
    if not trusted:
        reporter.warn(
            f"with a rank correlation below {TRUSTED_TAU} the predictor's ranking is not to be trusted."
        )
