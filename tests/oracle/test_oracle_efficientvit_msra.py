"""Microsoft's EfficientViT with timm's weights answers as timm's own models do, in float64."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparing import check_preset
from timm_beside import Timm

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("preset", ["M0", "M1", "M2", "M3", "M4", "M5"])
def test_a_preset_with_timms_weights_answers_as_timms_model(preset: str, timm: Timm, tmp_path: Path) -> None:
    check_preset("efficientvit_msra", preset, f"efficientvit_{preset.lower()}", timm, tmp_path)
