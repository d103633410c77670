"""Settings: what is accepted is honoured; what is not is refused with its key and what would be right."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.errors import NasError
from nas.search.objective import parse_constraint
from nas.search.strategies import strategy
from nas.settings import RunSettings, known_keys, make_settings
from nas.supernet.mixing import mix
from nas.testing.strategies import DIRECTIONS, small_space

QUICK = settings(max_examples=150, deadline=None)


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ("train.weight_decay=.inf", "setting train.weight_decay is inf; a number from 0 to 100 is needed."),
        ("train.lr=-.inf", "setting train.lr is -inf; a number above 0 to 100 is needed."),
        ("train.label_smoothing=.nan", "from 0 below 1"),
        ("evaluate.batch=false", "setting evaluate.batch is False; a whole number from 1"),
        ("train.lr=true", "setting train.lr is True; a number above 0"),
        ("train.steps=1.5", "setting train.steps is 1.5; a whole number"),
        ("train.steps='7'", "a whole number"),
        ("train.ema_warmup=1", "true or false"),
        ("train.mirror=sideways", "setting train.mirror is 'sideways'; true or false or one of auto"),
        ("threads=100000", "from 1 to 1,024"),
        ("search.n_trials=1e99", "from 1 to"),
        ("train.relaxed.temperature=1e-300", "from 0.001 to 1000"),
        ("train.sampler.name=sandwhich", "one of performance, complexity, sandwich"),
        ("objectives=latency", "setting objectives is 'latency'; a list of texts is needed."),
        ("data.spec=3", "a text is needed"),
        ("seed=!!int x", "a whole number from 0"),
        ("seed=!!float [1]", "a whole number from 0"),
        ("seed=" + "{" * 5000, "a whole number from 0"),
        ("seed=" + "7" * 5000, "a whole number from 0"),
        ("seed=&a [*a]", "a whole number from 0"),
        ("train.clp=1", "Did you mean 'train.clip'"),
    ],
)
def test_what_is_no_setting_is_refused_with_key_and_range(given_: str, says: str) -> None:
    with pytest.raises(NasError) as caught:
        make_settings("embedded", (), [given_])
    assert says in str(caught.value)


def test_all_wrong_settings_of_a_file_are_told() -> None:
    layer = {"train": {"batch": True, "lr": float("inf"), "colour": 3}, "seed": -1}
    with pytest.raises(NasError) as caught:
        make_settings("embedded", [layer])
    text = str(caught.value)
    assert all(key in text for key in ("train.batch", "train.lr", "train.colour", "seed is -1"))
    assert "4 settings are wrong" in text


def test_whole_numbers_may_be_written_with_an_exponent() -> None:
    made = make_settings("embedded", (), ["search.n_trials=1e3", "train.lr=1", "train.mirror=false"])
    assert made.search.n_trials == 1000 and made.train.lr == 1.0 and made.train.mirror is False


@pytest.mark.parametrize("alpha", [1e-300, 1e-9, 10.0])
def test_every_strength_of_mixing_that_is_accepted_can_be_mixed(alpha: float) -> None:
    make_settings("embedded", (), [f"train.mix={alpha}"])
    rng = np.random.default_rng(0)
    for _ in range(20):
        images, target = mix(torch.rand(4, 3, 8, 8), torch.eye(4), alpha, rng)
        assert torch.isfinite(images).all() and torch.isfinite(target).all()


WORDS = st.sampled_from(
    [".inf", "-.inf", ".nan", "true", "null", "1e400", "!!set {a}", "2020-01-01", "[1, [2]]", "0x10"]
)


@QUICK
@given(key=st.sampled_from(known_keys()), text=WORDS | st.text(max_size=10) | st.floats().map(repr))
def test_any_text_is_a_setting_or_a_message(key: str, text: str) -> None:
    try:
        made = make_settings("embedded", (), [f"{key}={text}"])
    except NasError as error:
        assert key.split(".")[-1] in str(error)
        return
    assert RunSettings.model_validate(json.loads(json.dumps(made.model_dump(), allow_nan=False))) == made


@QUICK
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
        lambda x: st.dictionaries(st.sampled_from(["train", "seed", "sampler", "batch", "data", "x"]), x),
    )
)
def test_any_recipe_of_a_space_is_settings_or_a_message(layer: Any) -> None:
    if isinstance(layer, dict):
        try:
            make_settings("embedded", [layer])
        except NasError as error:
            assert "setting" in str(error)


@pytest.mark.parametrize(
    "option", [{"population": True}, {"mutation": float("inf")}, {"crossover": float("nan")}]
)
def test_options_of_a_strategy_are_numbers(option: dict[str, Any]) -> None:
    with pytest.raises(NasError, match="a finite number is needed"):
        strategy("nsga2", small_space(), DIRECTIONS, **option)


# accuracies in percent and as fractions are the same numbers wherever they are written


@QUICK
@given(st.decimals(0, 100, places=3, allow_nan=False))
def test_a_bound_in_percent_is_the_fraction_it_says(percent: Any) -> None:
    fraction = percent.scaleb(-2)
    in_percent, plain = parse_constraint(f"accuracy>={percent}%"), parse_constraint(f"accuracy>={fraction:f}")
    assert in_percent.bound == plain.bound == float(fraction)
    assert not in_percent.violation(np.array([float(fraction)])).any()


@pytest.mark.parametrize("hits", range(0, 1001, 7))
def test_a_share_of_images_satisfies_the_bound_that_names_it(hits: int) -> None:
    constraint = parse_constraint(f"accuracy>={hits / 10}%")
    assert not constraint.violation(np.array([hits / 1000])).any()


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("latency<=100us", 0.1),
        ("latency<=0.3s", 300.0),
        ("macs<=300.1M", 300.1e6),
        ("memory<=1.5MiB", 1.5 * 2**20),
        ("params>=0.1k", 100.0),
        ("latency<=250000ns", 0.25),
    ],
)
def test_units_are_exact(text: str, bound: float) -> None:
    assert parse_constraint(text).bound == bound


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("flops<=300M", "Did you mean 'macs'"),
        ("FLOPs<=300M", "Did you mean 'macs'"),
        ("top1>=70%", "Did you mean 'accuracy'"),
        ("parameters<=3M", "Did you mean 'params'"),
        ("accuracy>=57", "57%"),
        ("latency<=fast", "is not a quantity in ms"),
        ("latency<=1e999ms", "too large"),
        ("latency<=10 parsecs", "suffixes"),
        ("latency=<10ms", "use <= or >="),
        ("accuracy>=1,5%", "is not a quantity"),
    ],
)
def test_constraints_that_are_none(text: str, says: str) -> None:
    with pytest.raises(NasError) as caught:
        parse_constraint(text)
    assert says in str(caught.value)


@QUICK
@given(
    name=st.sampled_from(["accuracy", "latency", "macs", "flops", ""]) | st.text(max_size=6),
    operator=st.sampled_from(["<=", ">=", "<", "==", "=<", ""]),
    quantity=st.text(max_size=8) | st.floats().map(repr),
    unit=st.sampled_from(["", "%", "ms", "M", "٪", " us"]),
)
def test_any_text_is_a_constraint_or_a_message(name: str, operator: str, quantity: str, unit: str) -> None:
    try:
        constraint = parse_constraint(f"{name}{operator}{quantity}{unit}")
    except NasError:
        return
    assert np.isfinite(constraint.bound)
