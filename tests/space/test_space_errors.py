"""Files that are wrong: one clear message with file, line, key, what is allowed and the likely word."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.costs import cost
from nas.errors import ConfigError, NasError
from nas.space import load_space

GOOD = """\
version: 1
name: good
input:
  resolution: [32, 64]
  classes: 10
stages:
  first:
    block: conv_stem
    stride: 2
    width: [8, 16]
  A:
    block: mbconv
    stride: 2
    depth: {min: 1, max: 3}
    width: {min: 16, max: 32, step: 8}
    kernel: [3, 5]
    expansion: [2, 3]
  T:
    block: transformer
    downsample: {block: downsample}
    depth: [1, 2]
    width: [32, 48]
    heads: width / 16
  head:
    block: pooled_head
rules:
  - first.width <= A.width
  - require: A.width <= T.width
    why: widths do not decrease
sampling:
  levels: [1M, 2M]
  window: 1M
  minimum:
    - {preset: small, up_to: 2M}
  widths: [T.width]
presets:
  small: {resolution: 32, first.width: 8, A.depth: 1, A.width: 16, A.kernel: 3, A.expansion: 2, T.depth: 1, T.width: 32}
"""


def test_the_good_file_is_good(tmp_path: Path) -> None:
    assert load_space(_write(tmp_path, GOOD)).size()[1]


CASES: dict[str, tuple[str, str, int | None, str]] = {
    # name: what is replaced, by what, the line named, words of the message
    "misspelt key at the top": ("stages:", "stags:", 6, r"stags.*unknown key 'stags'.*mean 'stages'.*rules"),
    "misspelt key of input": ("classes: 10", "clases: 10", 5, r"input\.clases.*mean 'classes'.*resolution"),
    "misspelt key of a block": ("    kernel: [3, 5]", "    kernal: [3, 5]", 16, r"A\.kernal.*mean 'kernel'"),
    "misspelt key of a range": ("min: 16, max: 32", "min: 16, mx: 32", 15, r"A\.width\.mx.*mean 'max'.*step"),
    "misspelt key of a rule": ("    why: widths", "    wy: widths", 29, r"rules\[1\].*wy.*mean 'why'"),
    "misspelt key of sampling": ("  window: 1M", "  windw: 1M", 32, r"sampling\.windw.*mean 'window'"),
    "misspelt key of a minimum": ("small, up_to: 2M", "small, upto: 2M", 34, r"upto.*mean 'up_to'"),
    "key of another block": ("    expansion: [2, 3]", "    heads: 2", 17, r"A\.heads.*mbconv.*kernel"),
    "unknown block": ("block: mbconv", "block: mbcnv", 12, r"A\.block.*'mbcnv'.*mean 'mbconv'.*transformer"),
    "missing block": ("    block: mbconv\n", "", 11, r"A.*'block' is missing"),
    "missing width": ("    width: [8, 16]\n", "", 7, r"first.*'width' is missing"),
    "missing input": ("input:\n  resolution: [32, 64]\n  classes: 10\n", "", None, r"'input' is missing"),
    "missing resolution": ("  resolution: [32, 64]\n", "", 3, r"'resolution' is missing"),
    "missing version": ("version: 1\n", "", None, r"'version' is missing"),
    "missing name": ("name: good\n", "", None, r"'name' is missing"),
    "another version": ("version: 1", "version: 2", 1, r"version: .*1.*got 2"),
    "version as a word": ("version: 1", "version: one", 1, r"version: .*1.*got 'one'"),
    "name with a slash": ("name: good", "name: a/b", 2, r"name: .*letters"),
    "classes as a word": ("classes: 10", "classes: ten", 5, r"classes.*integer.*got 'ten'"),
    "classes below 1": ("classes: 10", "classes: 0", 5, r"classes.*1.*got 0"),
    "stages as a list": ("stages:\n  first:", "stages:\n  - first:", None, r"good|YAML|stages"),
    "empty list": ("kernel: [3, 5]", "kernel: []", 16, r"A\.kernel.*empty"),
    "repeated value": ("kernel: [3, 5]", "kernel: [3, 5, 3]", 16, r"A\.kernel.*3 is listed twice"),
    "mixed values": ("kernel: [3, 5]", "kernel: [3, five]", 16, r"A\.kernel.*mixed"),
    "words for a number": ("kernel: [3, 5]", "kernel: [three, five]", 16, r"A\.kernel.*a number"),
    "null value": ("kernel: [3, 5]", "kernel: [3, null]", 16, r"A\.kernel"),
    "nested list": ("kernel: [3, 5]", "kernel: [3, [5]]", 16, r"A\.kernel.*number or a word"),
    "not a number": ("kernel: [3, 5]", "kernel: [3, .nan]", 16, r"A\.kernel"),
    "infinite": ("kernel: [3, 5]", "kernel: [3, .inf]", 16, r"A\.kernel"),
    "even kernel": ("kernel: [3, 5]", "kernel: [3, 4]", 16, r"A\.kernel.*odd"),
    "fractional expansion": ("expansion: [2, 3]", "expansion: [2, 2.5]", 17, r"A\.expansion.*whole"),
    "fractional constant": ("expansion: [2, 3]", "expansion: 2.5", 17, r"A\.expansion.*whole"),
    "gate out of range": ("expansion: [2, 3]", "se: [0, 2]", 17, r"A\.se.*(0 or 1|above 1)"),
    "gate as a bool is fine but not 7": ("expansion: [2, 3]", "se: 7", 17, r"A\.se.*(0 or 1|above 1)"),
    "zero width": ("width: [8, 16]", "width: [0, 16]", 10, r"first\.width.*below 1"),
    "negative constant": ("width: [8, 16]", "width: -8", 10, r"first\.width.*below 1"),
    "min above max": ("min: 16, max: 32", "min: 40, max: 32", 15, r"A\.width.*'max' 32 is below 'min' 40"),
    "step that misses": ("step: 8", "step: 9", 15, r"A\.width.*do not reach 32"),
    "step of zero": ("step: 8", "step: 0", 15, r"A\.width.*step"),
    "range without max": ("{min: 1, max: 3}", "{min: 1}", 14, r"A\.depth.*'max' is missing"),
    "huge range": ("{min: 1, max: 3}", "{min: 1, max: 3000000}", 14, r"A\.depth"),
    "depth as a word": ("{min: 1, max: 3}", "deep", 14, r"A\.depth.*whole number"),
    "fractional depth": ("{min: 1, max: 3}", "[1, 1.5]", 14, r"A\.depth.*whole"),
    "stride as a word": (
        "    stride: 2\n    depth",
        "    stride: two\n    depth",
        13,
        r"A\.stride.*whole number",
    ),
    "stride a block cannot": (
        "    stride: 2\n    depth",
        "    stride: 3\n    depth",
        13,
        r"A\.stride.*mbconv",
    ),
    "stride without down-sampler": (
        "    downsample: {block: downsample}\n    depth: [1, 2]\n    width: [32, 48]",
        "    width: 24\n    stride: 2\n    depth: [1, 2]",
        21,
        r"T\.stride.*attention.*downsample",
    ),
    "width that attention cannot change": (
        "    downsample: {block: downsample}\n",
        "",
        21,
        r"T\.width.*downsample",
    ),
    "unknown activation": (
        "    kernel: [3, 5]",
        "    act: hard_swich",
        16,
        r"A\.act.*mean 'hard_swish'.*relu",
    ),
    "unknown activation among several": (
        "    kernel: [3, 5]",
        "    act: [relu, gulu]",
        16,
        r"A\.act.*mean 'gelu'",
    ),
    "unknown name in expression": ("heads: width / 16", "heads: widht / 16", 23, r"T\.heads.*'widht'.*mean"),
    "inexact division": ("heads: width / 16", "heads: width / 7", 23, r"T\.heads.*whole"),
    "division by zero": ("heads: width / 16", "heads: width / (depth - depth)", 23, r"T\.heads.*zero"),
    "floor division by zero": ("heads: width / 16", "heads: width // (depth - 1)", 23, r"T\.heads.*zero"),
    "derived below 1": ("heads: width / 16", "heads: width / 16 - 2", 23, r"T\.heads.*below 1"),
    "derived fraction": ("heads: width / 16", "heads: width * 0.3", 23, r"T\.heads.*whole"),
    "derived word": ("heads: width / 16", "heads: \"'two'\"", 23, r"T\.heads"),
    "circular fields": ("heads: width / 16", "heads: qk_dim\n    qk_dim: heads", 23, r"T\.heads.*circle"),
    "field derived from itself": ("heads: width / 16", "heads: heads", 23, r"T\.heads.*circle"),
    "not an expression": ("heads: width / 16", "heads: width /", 23, r"T\.heads.*not an expression"),
    "call in expression": ("heads: width / 16", "heads: __import__('os')", 23, r"T\.heads.*not allowed"),
    "power in expression": ("heads: width / 16", "heads: width ** 99", 23, r"T\.heads.*not allowed"),
    "huge word": ("heads: width / 16", "heads: \"'a' * 9999999999\"", 23, r"T\.heads"),
    "huge number": ("heads: width / 16", "heads: width * 99999999999999999999999", 23, r"T\.heads"),
    "empty rule": ("- first.width <= A.width", "- ''", 27, r"rules\[0\].*empty"),
    "rule with unknown name": (
        "first.width <= A",
        "frist.width <= A",
        27,
        r"rules\[0\].*mean 'first\.width'",
    ),
    "rule that never holds": ("first.width <= A.width", "first.width > 99", 27, r"rules\[0\].*never holds"),
    "rules that contradict": (
        "first.width <= A.width",
        "A.depth == 1\n  - A.depth == T.depth\n  - T.depth == 2",
        26,
        r"rules.*contradict",
    ),
    "rule without decisions": ("first.width <= A.width", "1 <= 2", 27, r"rules\[0\].*reads no decision"),
    "rule that compares words with numbers": (
        "first.width <= A.width",
        "first.width <= 'x'",
        27,
        r"rules\[0\]",
    ),
    "rule that is no truth": ("first.width <= A.width", "first.width + A.width", 27, r"rules\[0\].*truth"),
    "rule as a number": ("- first.width <= A.width", "- 5", 27, r"rules\[0\]"),
    "unknown scope": ("    why: widths do not", "    scope: globl", 29, r"rules\[1\]\.scope.*global"),
    "preset with unknown decision": (
        "A.kernel: 3, A.exp",
        "A.kernl: 3, A.exp",
        37,
        r"A\.kernl.*mean 'A\.kernel'",
    ),
    "preset without a decision": (", T.width: 32}", "}", 37, r"presets\.small.*'T\.width' is missing"),
    "preset with a word": (
        "A.kernel: 3, A.exp",
        "A.kernel: three, A.exp",
        37,
        r"A\.kernel.*a number is needed",
    ),
    "preset that cannot be built": (
        "T.depth: 1, T.width: 32",
        "T.depth: 1, T.width: 40",
        37,
        r"presets\.small",
    ),
    "preset of negative width": ("A.width: 16", "A.width: -16", 37, r"presets\.small.*"),
    "preset of fractional width": ("A.width: 16", "A.width: 16.5", 37, r"presets\.small.*"),
    "sampling with unknown preset": ("preset: small", "preset: smal", 34, r"'smal'.*mean 'small'"),
    "sampling with unknown decision": (
        "widths: [T.width]",
        "widths: [T.widht]",
        35,
        r"T\.widht.*mean 'T\.width'",
    ),
    "level that is no quantity": ("[1M, 2M]", "[1M, 2X]", 31, r"sampling\.levels.*'2X'.*MACs"),
    "window that is no quantity": ("window: 1M", "window: wide", 32, r"sampling\.window.*'wide'"),
    "window of nothing": ("window: 1M", "window: 0", 32, r"sampling\.window"),
    "no levels": ("[1M, 2M]", "[]", 31, r"sampling\.levels"),
    "duplicate key": ("    kernel: [3, 5]", "    kernel: [3, 5]\n    kernel: [3]", 17, r"kernel.*only once"),
    "tab": ("    stride: 2\n    depth", "\tstride: 2\n    depth", 13, r"YAML"),
    "unclosed bracket": ("[3, 5]", "[3, 5", None, r"YAML"),
    "stage called like a keyword": ("  first:", "  in:", 7, r"stages\.in.*usable name"),
    "stage with a dash": ("  first:", "  first-one:", 7, r"first-one.*usable name"),
    "stage that is a list": ("  head:\n    block: pooled_head", "  head: [1]", 24, r"stages\.head"),
    "stage that is empty": ("  head:\n    block: pooled_head", "  head:", 24, r"stages\.head"),
    "downsample as a word": ("{block: downsample}", "downsample", 20, r"T\.downsample.*mapping"),
    "unknown down-sampler": ("{block: downsample}", "{block: downsmple}", 20, r"mean 'downsample'"),
    "unknown key of a down-sampler": (
        "{block: downsample}",
        "{block: downsample, kernl: 3}",
        20,
        r"mean 'kernel'",
    ),
    "optional stage with a stride": ("{min: 1, max: 3}", "{min: 0, max: 3}", 14, r"A\.depth.*stride"),
    "suffix without count": (
        "block: mbconv",
        "block: {suffix: mbconv, otherwise: downsample}",
        12,
        r"'count' is missing",
    ),
    "suffix misspelt": (
        "block: mbconv",
        "block: {suffix: mbconv, otherwse: downsample, count: 1}",
        12,
        r"otherw",
    ),
    "suffix beyond the depth": (
        "block: mbconv",
        "block: {suffix: mbconv, otherwise: downsample, count: [1, 9]}",
        12,
        r"count.*depth",
    ),
    "requirement that is no list": (
        "presets:",
        "requirements: {fast: 3}\npresets:",
        36,
        r"requirements\.fast",
    ),
    "per what": ("kernel: [3, 5]", "kernel: {values: [3, 5], per: blok}", 16, r"per.*block"),
    "kind of what": ("kernel: [3, 5]", "kernel: {values: [3, 5], kind: odinal}", 16, r"kind.*ordinal"),
    "values beside min": ("kernel: [3, 5]", "kernel: {values: [3, 5], min: 3}", 16, r"exclude"),
}


@pytest.mark.parametrize(("old", "new", "line", "words"), CASES.values(), ids=CASES.keys())
def test_a_broken_file_is_one_clear_message(
    old: str, new: str, line: int | None, words: str, tmp_path: Path
) -> None:
    assert GOOD.count(old) >= 1
    path = _write(tmp_path, GOOD.replace(old, new, 1))
    with warnings.catch_warnings(), pytest.raises(ConfigError, match=rf"(?s){words}") as caught:
        warnings.simplefilter("error")
        load_space(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    if line is not None:
        assert caught.value.line == line, str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"# only a comment\n", "empty"),
        (b"- 1\n- 2\n", "a mapping"),
        (b"just words\n", "a mapping"),
        (b"version: 1\nname: \xff\xfe\n", r":2: .*not UTF-8"),
        (b"version: 1\nname: a\x00b\n", "YAML"),
        (b"a: &a [*a]\n", "YAML|unknown"),
        (b"version: 1\n--- \nname: x\n", "YAML"),
        (b"? [1, 2]\n: 3\n", "unknown|YAML"),
        (b"version: 1\nname: !!python/object:os.system x\n", "name"),
        (b"version: 1\nname: s\n", "no decision"),
        (b"version: 1\nname: s\ninput: {resolution: 3}\ndecisions: {a: [1]}\n", "without stages"),
        (b"version: 1\nname: s\ndecisions: {a: 1}\n", "a choice is"),
        (b"version: 1\nname: s\ndecisions: {a b: [1]}\n", "usable name"),
        (b"[" * 3000, "YAML"),
        (b"{a: " * 3000, "YAML"),
        (b"version: 1\nname: s\n3: 4\n", r":3: 3: unknown key '3'"),
        (b"version: 1\n1: a\n'1': b\n", "the key '1' stands twice"),
        (b"version: 2\nname: s\n", r":1: version: must be 1 \(got 2\)"),
    ],
)
def test_what_is_no_space_file(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        load_space(path)
    assert str(path) in str(caught.value)


def test_a_directory_and_a_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NasError, match="directory"):
        load_space(tmp_path)
    with pytest.raises(NasError, match=r"no such|nowhere"):
        load_space(tmp_path / "nowhere.yaml")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(NasError, match="folder: this is a directory"):
        load_space("folder")
    with pytest.raises(NasError, match=r"Did you mean 'elasticvit'"):
        load_space("elasticvt")


TEXT = (Path(__file__).parents[2] / "spaces" / "elasticvit.yaml").read_text()
LINES = TEXT.splitlines(keepends=True)
PIECES = (*"[]{}:,-#&*!|>'\"%@\t 0123456789abc=<./", "\n", "null", "- ", ": ", "1e999", "~", "true", "\x07")


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_damage_never_shows_a_traceback(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    text = _damaged(TEXT, rng) if rng.random() < 0.6 else _shuffled(rng)
    path = _write(tmp_path, text)
    try:
        space = load_space(path)
        if space.blueprint is not None:
            cost(space, space.sample(2, seed=0))
            for preset in space.presets.values():
                cost(space, preset)
    except NasError:
        pass


def _damaged(text: str, rng: random.Random) -> str:
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text))
        match rng.randrange(4):
            case 0:
                text = text[:at] + text[at + rng.randint(1, 12) :]
            case 1:
                text = text[:at] + rng.choice(PIECES) + text[at:]
            case 2:
                text = text[:at] + rng.choice(PIECES) + text[at + 1 :]
            case _:
                other = rng.randrange(len(text))
                text = text[:at] + text[other : other + rng.randint(1, 20)] + text[at:]
    return text


def _shuffled(rng: random.Random) -> str:
    lines = list(LINES)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(min(len(lines), 95))
        match rng.randrange(3):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[rng.randrange(len(lines))])
            case _:
                other = rng.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
    return "".join(lines)


def _write(folder: Path, text: str) -> Path:
    path = folder / "space.yaml"
    path.write_text(text)
    return path
