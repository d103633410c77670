"""Standard error without a runtime's remarks about the processor: nothing else is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nas.errors import NasError
from nas.export.formats import format_of
from nas.export.quiet import without_lines

PROGRAM = """
import sys
import torch
from nas.export.formats import format_of

form = format_of("executorch")
if len(sys.argv) > 2:
    form.runner(b"no program at all, and longer than its header of a few dozen bytes" * 4)
layer = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2)).eval()
run = form.runner(form.export(layer, torch.zeros(1, 3, 2, 2)))
print(run(torch.zeros(3, 3, 2, 2).numpy()).shape)
"""


def test_other_lines_are_kept_in_their_order_also_before_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="as it was"), without_lines("[cpu"):
        for line in ("first", "[cpu.cpp:1] noise", "second [cpu.cpp:1]"):
            sys.stderr.write(f"{line}\n")
        raise ValueError("as it was")
    assert capsys.readouterr().err == "first\nsecond [cpu.cpp:1]\n"
    sys.stderr.write("after\n")
    assert capsys.readouterr().err == "after\n"


def test_executorch_says_nothing_of_the_processor_but_its_errors(tmp_path: Path) -> None:
    try:
        format_of("executorch")
    except NasError as error:
        pytest.skip(str(error))

    def told(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PROGRAM, "run", *more]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)

    whole = told()
    assert whole.stdout == "(3, 2)\n" and "cpuinfo" not in whole.stderr, whole.stderr
    broken = told("broken")
    assert broken.returncode and "Program identifier" in broken.stderr
