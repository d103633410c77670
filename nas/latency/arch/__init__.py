"""Latency of whole networks, learned from pairs of an arch and its latency; needs no network behind the space."""

from __future__ import annotations

from nas.latency.arch.fit import fit_arch_predictor
from nas.latency.arch.pairs import Pairs, pairs_from_csv, pairs_from_study
from nas.latency.arch.predictor import ArchLatencyPredictor, load_arch_predictor
from nas.latency.arch.scores import Scores, evaluate, fit_from_csv, score

__all__ = [
    "ArchLatencyPredictor",
    "Pairs",
    "Scores",
    "evaluate",
    "fit_arch_predictor",
    "fit_from_csv",
    "load_arch_predictor",
    "pairs_from_csv",
    "pairs_from_study",
    "score",
]
