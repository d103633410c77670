"""nn-Meter's tables: key grammar, and the published network sums."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas.errors import NasError
from nas.latency import nn_meter
from nas.latency.device import Device
from nas.latency.importer import import_nn_meter
from nas.latency.signature import format_signature

PHONES = ("pixel1", "pixel4", "pixel6", "xiaomi11")
Unit = tuple[str, dict[str, int]]


@pytest.mark.parametrize(
    ("key", "signature"),
    [
        ("firstconv_224_3_16_2_3", "conv_stem h=224 w=224 cin=3 cout=16 kernel=3 stride=2 act=hard_swish"),
        (
            "conv_56_24_32_6_2_hard_swish_5_se",
            "mbconv h=56 w=56 cin=24 cout=32 kernel=5 stride=2 expansion=6 se=1 act=hard_swish",
        ),
        (
            "conv_64_16_16_1_1_hard_swish_3_nose",
            "mbconv h=64 w=64 cin=16 cout=16 kernel=3 stride=1 expansion=1 se=0 act=hard_swish",
        ),
        (
            "transds_28_40_64_2_6",
            "downsample h=28 w=28 cin=40 cout=64 kernel=3 stride=2 expansion=6 se=1 act=hard_swish",
        ),
        (
            "transds_28_40_64_1_4",
            "downsample h=28 w=28 cin=40 cout=64 kernel=3 stride=1 expansion=4 se=1 act=hard_swish",
        ),
        (
            "transattn_14_72_hard_swish_3_ln",
            "attention h=14 w=14 channels=72 heads=4 qk_dim=16 v_dim=48 act=hard_swish norm=layer_norm",
        ),
        (
            "transffn_7_192_4_hard_swish_ln",
            "ffn h=7 w=7 channels=192 hidden=768 act=hard_swish norm=layer_norm",
        ),
        (
            "mbpool_4_320_1984_6_hard_swish",
            "pooled_head h=4 w=4 channels=320 expanded=1920 hidden=1984 classes=1000 act=hard_swish",
        ),
    ],
)
def test_key_grammar(key: str, signature: str) -> None:
    parsed = nn_meter.parse_key(key)
    assert parsed is not None
    assert format_signature(*parsed) == signature


@pytest.mark.parametrize(
    "key",
    ["transattn_14_64_hard_swish_2_bn", "nasvit_transattn_14_64_swish_4_ln", "conv_1_2_3_4_5_relu_3_se", ""],
)
def test_keys_of_other_tables_are_refused(tmp_path: Path, key: str) -> None:
    path = tmp_path / "lut.json"
    path.write_text(json.dumps({key: 1.0}))
    with pytest.raises(NasError) as error:
        nn_meter.read(path)
    assert repr(key) in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", "{", '{"mbpool_4_320_1984_6_hard_swish": 0}', '{"mbpool_4_320_1984_6_hard_swish": "x"}'],
)
def test_what_is_no_table(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lut.json"
    path.write_text(text)
    with pytest.raises(NasError, match=r"lut\.json"):
        nn_meter.read(path)


def test_every_published_key_is_its_own_unit(shared_data: Path) -> None:
    table = nn_meter.read(_json(shared_data, "pixel6"))
    assert Counter(kind for (kind, _), _ in table.items()) == {
        "conv_stem": 12,
        "mbconv": 1788,
        "downsample": 7740,
        "attention": 1077,
        "ffn": 1436,
        "pooled_head": 63,
    }


# The released architectures (configs/final_3min_space_eval.yaml): resolution; widths and depths of stem, C1,
# C2, T1..T4; expansion and kernel of stem, C1, C2; MLP ratio of T1..T4.
ARCHS = {
    "T1": (128, (16, 24, 32, 64, 96, 176, 272), (1, 2, 3, 1, 1, 1, 1), (1, 3, 3), (3, 3, 3), (2, 2, 3, 4)),
    "T2": (160, (16, 24, 40, 48, 96, 176, 256), (1, 2, 3, 1, 1, 2, 2), (1, 3, 3), (3, 3, 3), (3, 4, 3, 2)),
    "S1": (192, (16, 24, 40, 64, 96, 192, 272), (1, 3, 3, 2, 2, 2, 2), (1, 3, 3), (3, 3, 3), (2, 2, 3, 4)),
    "S2": (224, (16, 24, 48, 64, 96, 192, 256), (1, 3, 3, 2, 2, 2, 2), (1, 3, 3), (3, 3, 3), (2, 2, 2, 4)),
    "M": (224, (16, 32, 48, 64, 96, 192, 288), (1, 3, 5, 2, 2, 2, 2), (1, 3, 3), (5, 3, 3), (2, 4, 4, 5)),
    "L1": (256, (16, 24, 40, 64, 96, 192, 320), (1, 3, 3, 2, 2, 2, 2), (1, 3, 6), (5, 5, 5), (4, 3, 4, 4)),
    "L1.5": (256, (16, 24, 48, 64, 96, 256, 320), (2, 4, 4, 2, 2, 2, 2), (1, 3, 4), (3, 3, 5), (4, 5, 3, 5)),
    "L2": (256, (16, 24, 40, 80, 128, 256, 304), (1, 3, 4, 2, 2, 2, 2), (1, 6, 6), (3, 3, 3), (3, 2, 3, 5)),
    "L3": (256, (16, 32, 48, 80, 128, 256, 320), (1, 3, 4, 2, 2, 2, 2), (1, 5, 5), (5, 3, 5), (4, 4, 3, 5)),
    "min-200": (
        128,
        (16, 16, 16, 48, 80, 144, 160),
        (1, 2, 2, 1, 1, 1, 1),
        (1, 3, 3),
        (3, 3, 3),
        (2, 2, 2, 2),
    ),
    "min-400": (
        176,
        (16, 24, 32, 48, 96, 176, 224),
        (1, 3, 3, 2, 2, 2, 2),
        (1, 3, 3),
        (3, 3, 3),
        (2, 3, 2, 2),
    ),
    "min-800": (
        224,
        (16, 24, 32, 64, 96, 192, 256),
        (1, 3, 3, 2, 2, 2, 2),
        (1, 3, 3),
        (3, 3, 3),
        (2, 2, 2, 2),
    ),
}
V_SCALES = {"L2": (2, 2, 2, 3)}

# Sums of the published entries with ceil sides, in ms: Pixel 1, Pixel 4, Pixel 6, Xiaomi 11.
SUMS = {
    "T1": (13.4235, 6.8221, 4.4404, 6.3228),
    "T2": (23.9374, 11.8471, 7.6195, 11.7338),
    "S1": (42.5639, 21.0957, 13.5769, 20.8084),
    "S2": (61.4464, 30.9420, 19.6711, 30.0604),
    "M": (78.6360, 38.8011, 25.0233, 38.9932),
    "L1": (107.0373, 53.0633, 34.2293, 52.4540),
    "L1.5": (121.4207, 60.1141, 38.8947, 60.7017),
    "L2": (136.4922, 68.6320, 43.8615, 68.2780),
    "L3": (156.9331, 78.8451, 50.6242, 79.3587),
    "min-200": (8.5347, 4.2248, 2.7764, 3.8138),
    "min-400": (31.9504, 15.6881, 10.0525, 15.2614),
    "min-800": (56.7679, 28.4544, 18.1606, 27.4853),
}
# One layer at a time of S1 on a Pixel 6: stem, conv, down-sample, attention, FFN, head.
S1_ON_PIXEL6 = {
    "conv_stem": 0.22,
    "mbconv": 3.22,
    "downsample": 1.97,
    "attention": 4.36,
    "ffn": 2.58,
    "pooled_head": 1.22,
}


def walk(name: str) -> Iterator[Unit]:
    """The timed units of a released architecture, layer by layer, written out by hand."""
    resolution, widths, depths, expansions, kernels, ratios = ARCHS[name]
    v_scales = V_SCALES.get(name, (2, 2, 2, 2))
    hard_swish, layer_norm = _position("act", "hard_swish"), _position("norm", "layer_norm")
    act, norm = {"act": hard_swish}, {"act": hard_swish, "norm": layer_norm}
    square = {"h": resolution, "w": resolution}
    yield "conv_stem", {**square, "cin": 3, "cout": widths[0], "kernel": 3, "stride": 2, **act}
    side, width = resolution // 2, widths[0]
    for stage, stride in enumerate((1, 2, 2)):
        for layer in range(depths[stage]):
            step = stride if layer == 0 else 1
            sizes = {"cin": width, "cout": widths[stage], "kernel": kernels[stage], "stride": step}
            inner = {"expansion": expansions[stage], "se": int(stage == 2)}
            yield "mbconv", {"h": side, "w": side, **sizes, **inner, **act}
            side, width = -(-side // step), widths[stage]
    for stage, stride in enumerate((2, 1, 2, 2)):
        sizes = {"cin": width, "cout": widths[3 + stage], "kernel": 3, "stride": stride}
        yield "downsample", {"h": side, "w": side, **sizes, "expansion": 6, "se": 1, **act}
        side, width = -(-side // stride), widths[3 + stage]
        square = {"h": side, "w": side, "channels": width}
        for _ in range(depths[3 + stage]):
            dims = {"heads": width // 16, "qk_dim": 16, "v_dim": 16 * v_scales[stage]}
            yield "attention", {**square, **dims, **norm}
            yield "ffn", {**square, "hidden": width * ratios[stage], **norm}
    yield "pooled_head", {**square, "expanded": 6 * width, "hidden": 1984, "classes": 1000, **act}


def _position(key: str, word: str) -> int:
    from nas.latency.signature import words

    return words("attention", key).index(word)


def _json(shared_data: Path, phone: str) -> Path:
    return shared_data / "nn_meter_lut" / f"{phone}_lut_ln_v3.json"


@pytest.fixture(scope="module", params=PHONES)
def exact(
    request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Device:
    phone = request.param
    folder = tmp_path_factory.mktemp("devices") / phone
    return import_nn_meter(_json(shared_data, phone), phone, folder).device


@pytest.mark.parametrize("name", ARCHS)
def test_network_sums_are_the_published_ones(exact: Device, name: str) -> None:
    total = sum(float(exact.unit_times(kind, sizes).ms[0]) for kind, sizes in walk(name))
    assert total == pytest.approx(SUMS[name][PHONES.index(exact.name)], rel=1e-5, abs=6e-5)


def test_where_the_time_of_s1_goes(exact: Device) -> None:
    if exact.name != "pixel6":
        pytest.skip("published for the Pixel 6 only")
    parts: dict[str, float] = defaultdict(float)
    for kind, sizes in walk("S1"):
        parts[kind] += float(exact.unit_times(kind, sizes).ms[0])
    assert parts == pytest.approx(S1_ON_PIXEL6, abs=0.006)


def test_an_imported_table_is_exact(exact: Device, shared_data: Path) -> None:
    published = json.loads(_json(shared_data, exact.name).read_text())
    assert exact.table is not None
    assert len(exact.table) == len(published) == 12_116
    for key, ms in published.items():
        parsed = nn_meter.parse_key(key)
        assert parsed is not None
        assert exact.table[parsed].median_ms == ms
    times = exact.unit_times(*next(walk("T1")))
    assert times.provenance.tolist() == [2]
    assert times.low == times.high == times.ms


def test_a_device_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "lut.json"
    path.write_text(json.dumps({"mbpool_4_320_1984_6_hard_swish": 1.5}))
    import_nn_meter(path, "phone", tmp_path / "phone", "a phone")
    assert import_nn_meter(path, "phone", tmp_path / "phone", "a phone").same == 1
    path.write_text(json.dumps({"mbpool_4_320_1984_6_hard_swish": 2.5}))
    with pytest.raises(NasError, match=r"1 times contradict those there(.|\n)*1\.5 ms .* there, 2\.5 ms"):
        import_nn_meter(path, "phone", tmp_path / "phone", "a phone")
    with pytest.raises(NasError, match="another device lies there"):
        import_nn_meter(path, "phone", tmp_path / "phone", "another phone")
