"""Random sizes of every unit, for the tests of this package."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from nas.blocks.base import ACTIVATIONS

bit = st.integers(0, 1)
side = st.integers(1, 9)
width = st.integers(1, 12)
act = st.integers(0, len(ACTIVATIONS) - 1)
conv = {
    "h": side,
    "w": side,
    "cin": width,
    "cout": width,
    "kernel": st.sampled_from([1, 3, 5, 7]),
    "act": act,
}
mbconv = {**conv, "stride": st.sampled_from([1, 2]), "expansion": st.integers(1, 4), "se": st.integers(0, 1)}
token = {"h": side, "w": side, "channels": width, "act": act, "norm": st.integers(0, 1)}
place = {"h": side, "w": side, "channels": width}
attention = {"heads": st.integers(1, 4), "qk_dim": st.integers(1, 5), "v_dim": st.integers(1, 5)}
squares = {"h": st.sampled_from([8, 16]), "w": st.sampled_from([8, 24]), "channels": width}
bottleneck = {
    **conv, "stride": st.integers(1, 3), "hidden": width, "expanded": bit, "norms": bit, "shortcut": bit,
    "act_after": act, "padding": bit, "eps": st.integers(1, 9),
}  # fmt: skip
squeezing = {**bottleneck, "squeezed": st.integers(0, 5), "se_act": act, "gate": bit}
carried = {  # test_blocks_fastervit.py has carriers
    **place, "channels": st.sampled_from([12, 24]), "prefix": st.just(0), "window": st.integers(1, 4),
    "carriers": st.just(0), "heads": st.integers(1, 3), "hidden": width, "act": act, "scale": bit,
}  # fmt: skip
patches = {
    "h": st.sampled_from([2, 4, 6]), "w": st.sampled_from([2, 4, 8]), "channels": width,
    "patch": st.sampled_from([1, 2]), "eps": st.integers(1, 9),
}  # fmt: skip
SIZES: dict[str, Mapping[str, st.SearchStrategy[int]]] = {
    "conv_stem": {**conv, "stride": st.integers(1, 4)},
    "mbconv": mbconv,
    "downsample": mbconv,
    "attention": {**token, **attention},
    "ffn": {**token, "hidden": width},
    "pooled_head": {
        "h": side, "w": side, "channels": width, "expanded": width, "hidden": width, "classes": width, "act": act
    },
    "conv_norm": {**conv, "stride": st.integers(1, 4)},
    "mb4d": {**place, "hidden": width, "act": act},
    "mb3d": {**place, **attention, "hidden": width, "act": act},
    "conv_ffn": {**place, "hidden": width, "act": act},
    "attention4d": {**place, **attention, "grid_stride": st.integers(1, 2), "act": act},
    "attention_downsample": {
        "h": side, "w": side, "cin": width, "cout": width, "stride": st.just(2), **attention, "act": act
    },
    "dual_head": {**place, "classes": width, "distilled": st.integers(0, 1)},
    "dual_map_head": {**place, "classes": width, "distilled": st.integers(0, 1)},
    "patch_embed": {
        "h": side, "w": side, "cin": width, "cout": width, "kernel": st.sampled_from([1, 3, 7]),
        "stride": st.integers(1, 4),
    },
    "unroll": {**squares, "span": st.sampled_from([1, 2, 4, 8])},
    "reroll": {**squares, "span": st.sampled_from([1, 2, 4, 8])},
    "unit_attention": {
        "h": st.sampled_from([4, 8]), "w": st.sampled_from([4, 12]), "cin": st.sampled_from([4, 5, 8]),
        "cout": st.sampled_from([4, 8]), "stride": st.sampled_from([1, 2]), "windows": st.sampled_from([1, 2, 4]),
        "heads": st.sampled_from([1, 2, 4]),
    },
    "unit_ffn": {**token, "hidden": width},
    "mean_head": {**place, "classes": width},
    "conv_bn": {**conv, "stride": st.integers(1, 4), "padding": bit, "eps": st.integers(1, 9)},
    "inverted_bottleneck": squeezing,
    "fused_bottleneck": squeezing,
    "residual_conv": {**bottleneck, "scale": bit, "bias": bit},
    "depthwise": {**place, "kernel": st.sampled_from([1, 3, 5]), "shortcut": bit, "eps": st.integers(1, 9)},
    "map_ffn": {**place, "hidden": width, "act": act, "eps": st.integers(1, 9)},
    "classifier": {
        **place, "features": st.integers(0, 9), "hidden": st.integers(0, 9), "hidden_norm": bit,
        "norm": st.integers(0, 2), "classes": width, "distilled": bit, "act": act, "eps": st.integers(1, 9),
    },
    "cascaded_attention": {
        **place, "channels": st.sampled_from([12, 24]), "heads": st.sampled_from([1, 2, 3, 4]),
        "qk_dim": st.integers(1, 4), "window": st.integers(1, 4), "kernels": st.sampled_from([2, 6, 4]).map(
            lambda digit: sum(digit * 16**head for head in range(4))
        ), "cascade": st.integers(0, 2),
    },
    "carrier_attention": carried,
    "windowed_attention": carried,
    "end_carriers": {**place, "prefix": st.just(0), "window": width, "carriers": st.just(0), "propagate": bit},
    "carrier_tokens": {**place, "window": st.integers(1, 4), "carriers": st.just(0)},
    "norm_conv": {
        "h": side, "w": side, "cin": width, "cout": width, "kernel": st.sampled_from([1, 3]),
        "stride": st.integers(1, 3),
    },
    "lite_mla": {
        **place, "heads": st.integers(1, 3), "dim": st.integers(1, 6), "scale1": st.sampled_from([0, 3, 5]),
        "scale2": st.sampled_from([0, 3]), "eps": st.integers(1, 9), "attention_eps": st.integers(1, 15),
    },
    "patch_unfold": {
        "h": side, "w": side, "cin": width, "cout": width, "kernel": st.sampled_from([1, 3, 5]),
        "patch": st.integers(1, 4), "act": act, "eps": st.integers(1, 9),
    },
    "separable_attention": patches,
    "patch_attention": {**patches, "heads": st.integers(1, 3), "dim": st.integers(1, 4)},
    "patch_ffn": {**patches, "hidden": width, "act": act},
    "patch_fold": {**{key: patches[key] for key in ("h", "w", "patch", "eps")}, "cin": width, "cout": width},
    "from_patches": {key: patches[key] for key in ("h", "w", "channels", "patch")},
    "rep_mixer": {
        **place, "kernel": st.sampled_from([1, 3, 5]), "norms": bit, "squeezed": st.integers(0, 5), "se_act": act,
        "gate": bit,
    },
    "separable": {
        "h": side, "w": side, "cin": width, "cout": width, "kernel": st.sampled_from([1, 3, 5]),
        "stride": st.integers(1, 3),
    },
    "window_attention": {
        **place, "heads": st.integers(1, 3), "dim": st.integers(1, 4), "window": st.integers(1, 5),
        "eps": st.integers(1, 9),
    },
    "token_ffn": {**token, "hidden": width},
    "ofa_bottleneck": {
        **conv, "kernel": st.sampled_from([3, 5, 7]), "stride": st.sampled_from([1, 2]), "hidden": width,
        "squeezed": st.integers(0, 5), "eps": st.integers(1, 9),
    },
    "to_tokens": place,
    "to_map": place,
    "join": {
        "h": side, "w": side, "cin": width, "h1": side, "w1": side, "cin1": width, "h2": side, "w2": side,
        "cin2": st.integers(0, 4), "h3": st.just(0), "w3": st.just(0), "cin3": st.just(0), "cout": width, "act": act,
    },
}  # fmt: skip


def draw_sizes(kind: str, data: st.DataObject) -> dict[str, int]:
    """Random sizes of one kind of unit."""
    return {key: data.draw(values, label=key) for key, values in SIZES[kind].items()}
