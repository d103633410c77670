"""Space files that grow, overflow, merge or are merely odd: an answer in words, and soon."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from lines_run import lines_run

from nas.errors import ConfigError, NasError
from nas.space import load_space
from nas.space.expression import EXACT, ExpressionError, parse

HEAD = "version: 1\nname: x\n"
NETWORK = HEAD + "input: {resolution: 32, classes: 10}\nstages:\n"
SOON = 10.0
"""Seconds on a busy machine; each of these took more than 25, or had no end."""


def write(folder: Path, text: str) -> Path:
    file = folder / "s.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def aliases() -> str:
    levels = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 9))
    return HEAD + "l0: &l0 [1, 2, 3, 4]\n" + levels


def chained(count: int) -> str:
    decisions = "".join(f"  d{i}: [1, 2, 3]\n" for i in range(count))
    return (
        HEAD
        + f"decisions:\n{decisions}rules:\n"
        + "".join(f"  - d{i} <= d{i + 1}\n" for i in range(count - 1))
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (aliases(), "with its aliases followed, the file has more than 100,000 values"),
        (chained(5000), "entries (lines and commas); at most 10,000 are read"),
        (HEAD + f"decisions:\n  d: {'[' * 3000}1{']' * 3000}\n", "nested too deeply; at most 100 levels"),
        (HEAD + f"decisions:\n  d: {'{a: ' * 500}1{'}' * 500}\n", "nested too deeply; at most 100 levels"),
        (HEAD + f"decisions:\n  d: [{', '.join(map(str, range(30_000)))}]\n", "at most 10,000 are read"),
        (HEAD + f"about: {'x' * 1_000_001}\n", "at most 1,000,000 are read"),
        (HEAD + f"decisions:\n  d: [1, 2]\nrules:\n  - '{'(' * 3000}d{')' * 3000} < 2'\n", "at most 2,000 are read"),
        (HEAD + f"decisions:\n  d: [1, 2]\nrules:\n  - {'-' * 1000}d < 2\n", "is not an expression"),
        (HEAD + "decisions: &d\n  a: *d\n", "a choice is a list"),
    ],
)  # fmt: skip
def test_what_would_take_minutes_is_refused_at_once(tmp_path: Path, text: str, words: str) -> None:
    started = time.monotonic()
    with pytest.raises(ConfigError) as refused:
        load_space(write(tmp_path, text))
    assert words in str(refused.value) and str(tmp_path / "s.yaml") in str(refused.value)
    assert len(str(refused.value)) < 1500 and time.monotonic() - started < SOON


def test_many_rules_take_work_in_proportion(tmp_path: Path) -> None:
    """From 100 to 400 rules: less than five times as much, where quadratic work would be sixteen times."""
    work = []
    for count in (100, 400):
        file = write(tmp_path, chained(count))

        def look(file: Path = file, count: int = count) -> None:
            space = load_space(file)
            assert len(space.sample(3, seed=0)) == 3
            assert space.size() == ((count + 1) * (count + 2) // 2, True)

        work.append(lines_run(look))
    assert work[1] < 5 * work[0]


@pytest.mark.parametrize(
    ("rule", "largest"),
    [
        ("a * a * a > 0", 2e9), ("a * b * b > 0", 4e6), ("a + a * a * a > 1", 3e6), ("-a * a * a < 0", 3e6),
        ("max(a, 5) * a * a > 0", 1e8),
    ],
)  # fmt: skip
def test_whole_numbers_never_wrap_around(tmp_path: Path, rule: str, largest: float) -> None:
    values = f"[{int(largest) // 2}, {int(largest)}]"
    file = write(tmp_path, f"{HEAD}decisions:\n  a: {values}\n  b: {values}\nrules:\n  - {rule}\n")
    with pytest.raises(ConfigError, match=r"s\.yaml:7: rules\[0\].*2\*\*53"):
        load_space(file)


NAMES = ("a", "b", "c")
OPERANDS = some.one_of(some.sampled_from(NAMES), some.integers(-(10**9), 10**9).map(lambda n: f"({n})"))
TERMS = some.recursive(
    OPERANDS,
    lambda inner: some.builds("({} {} {})".format, inner, some.sampled_from(["+", "-", "*", "//", "%"]), inner)
    | some.builds("{}({}, {})".format, some.sampled_from(["min", "max"]), inner, inner),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=TERMS, values=some.lists(some.integers(-(10**9), 10**9), min_size=3, max_size=3))
def test_arrays_compute_what_whole_numbers_do_or_say_that_they_cannot(text: str, values: list[int]) -> None:
    """Python's own integers, which have no width, are the oracle."""
    expression = parse(text)
    plain = dict(zip(NAMES, values))
    try:
        by_arrays = expression({name: np.array([value]) for name, value in plain.items()})
    except ExpressionError:
        return
    expected = eval(text, {"__builtins__": {"min": min, "max": max}}, plain)  # noqa: S307
    assert int(np.asarray(by_arrays).reshape(-1)[0]) == expected and abs(expected) <= EXACT


@pytest.mark.parametrize("value", ["1.0e+30", "-9007199254740994", "99999999999999999999"])
@pytest.mark.parametrize("form", ["[1, {}]", "{{min: {}, max: {}}}"])
def test_numbers_that_arrays_do_not_hold_are_refused(tmp_path: Path, value: str, form: str) -> None:
    text = form.format(value, value)
    with pytest.raises(ConfigError, match=r"decisions\.a.*(2\*\*53|whole number)"):
        load_space(write(tmp_path, f"{HEAD}decisions:\n  a: {text}\n"))


@pytest.mark.parametrize(
    "rules",
    [
        "d < 3 and 1 <= 2", "1 <= 2 and d < 3", "(2 > 1 or d > 1) and d < 3", "not (1 > 2) and d > 1",
        "d < 3 and 1 <= 2 and w == 'x'",
    ],
)  # fmt: skip
def test_a_part_of_a_rule_need_not_read_a_decision(tmp_path: Path, rules: str) -> None:
    space = load_space(
        write(tmp_path, f'{HEAD}decisions:\n  d: [1, 2, 3]\n  w: [x, y]\nrules:\n  - "{rules}"\n')
    )
    every = [(d, w) for d in (1, 2, 3) for w in ("x", "y")]
    kept = [(d, w) for d, w in every if eval(rules, {"__builtins__": {}}, {"d": d, "w": w})]  # noqa: S307
    assert space.size() == (len(kept), True)
    assert {tuple(arch.values()) for arch in space.sample(50, seed=0).to_dicts()} == set(kept)


def test_merge_keys_are_taken(tmp_path: Path) -> None:
    text = (
        "  first: &base {block: conv_stem, stride: 2, width: [8, 16]}\n"
        "  second: {<<: *base, block: mbconv, width: [16, 24], expansion: 2}\n"
        "  head: {block: pooled_head, expansion: 2, hidden: 8}\n"
    )
    space = load_space(write(tmp_path, NETWORK + text))
    assert [d.values for d in space.decisions] == [(8, 16), (16, 24)]
    wrong = text.replace("expansion: 2}\n  head", "expanson: 2}\n  head")
    with pytest.raises(ConfigError, match=r"s\.yaml:6: stages\.second\.expanson.*'expansion'"):
        load_space(write(tmp_path, NETWORK + wrong))
    wrong = text.replace("stride: 2", "strid: 2")
    with pytest.raises(ConfigError, match="strid"):
        load_space(write(tmp_path, NETWORK + wrong))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"version: 1\nname: {'x' * 5000}\ndecisions: {{d: [1, 2]}}\n", "at most 100 characters, not 5,000"),
        (HEAD + f"decisions:\n  {'d' * 900}: [1, 2]\n", "at most 100 characters, not 900"),
        (HEAD + f"decisions:\n  d: [{'w' * 900}, a]\n", "at most 200 characters, not 900"),
        (HEAD + f"decisions:\n  d: [1, 2]\nrules:\n  - {'n' * 1900} > 1\n", "unknown"),
    ],
)
def test_long_names_are_refused_in_short(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_space(write(tmp_path, text))
    assert words in str(refused.value) and len(str(refused.value)) < 600


def test_a_wide_rule_without_a_value_is_told_when_it_is_met(tmp_path: Path) -> None:
    decisions = "".join(f"  d{i}: [1, 300000000]\n" for i in range(12))
    rule = " + ".join(f"d{i} * d{(i + 5) % 12}" for i in range(12))
    file = write(
        tmp_path, f"{HEAD}decisions:\n{decisions}rules:\n  - {{require: {rule} < 5000, scope: global}}\n"
    )
    with pytest.raises(NasError, match=r"has no truth value: .*2\*\*53"):
        load_space(file).sample(2000, seed=0)


WORDS = some.sampled_from(
    ["[1, 2]", "{}", "~", "true", "1.5", "'a b'", "[]", "[x, 1]", "{min: 1}", "{values: [1, 2], per: block}", "-3",
     "!!int x", "!!binary aGk=", "2001-01-01", "*a", "&a 3", "{<<: 3}", "'${PATH}'", "\\x00", "1e999", "[1, 1]",
     "{min: 3, max: 1}", "d", "a.b", "os:abort", "0x10", "1_000", "[[1]]", "{<<: {values: [1]}}", "é", "? x"]
)  # fmt: skip
LINES = [
    "version: {}", "name: {}", "about: {}", "input: {}", "input: {{resolution: {}}}", "decisions: {}", "rules: {}",
    "decisions: {{d: {}}}", "rules: [{}]", "stages: {}", "stages: {{s: {}}}", "presets: {{p: {}}}", "outputs: {}",
    "stages: {{s: {{block: conv_stem, width: {}}}}}", "recipes: {{embedded: {}}}", "sampling: {}", "{}: {}", "{}",
    "requirements: {{r: {}}}", "stages: {{s: {{block: {}, width: 8}}}}", "presets: {{p: {{d: {}}}}}",
]  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=some.lists(some.tuples(some.sampled_from(LINES), WORDS, WORDS), min_size=1, max_size=6),
    whole=some.booleans(),
)
def test_no_file_of_a_space_ends_in_another_error_than_words(
    tmp_path: Path, lines: list[tuple[str, str, str]], whole: bool
) -> None:
    text = (HEAD if whole else "") + "".join(line.format(a, b) + "\n" for line, a, b in lines)
    load: Callable[[Path], object] = load_space
    try:
        load(write(tmp_path, text))
    except NasError as error:
        assert "s.yaml" in str(error)
