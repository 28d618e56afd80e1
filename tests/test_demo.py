"""The demo itself: three people before three real windows, out of sight."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

DEMO = Path(__file__).parent.parent / "tools" / "demo.py"


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="no Xvfb")
def test_three_people_meet_and_talk(tmp_path: Path) -> None:
    command = [sys.executable, str(DEMO), "--hidden"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=110)
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "demo-transcript.txt").read_text("utf-8")
    assert said.strip() in done.stdout
    for words in (
        "Hello both!",
        "👋",
        "שלום לכולם",
        "https://maps.example.org/lake",
        "dark by five",
        "Tea sounds right.",
    ):
        assert words in said
    with Image.open(tmp_path / "demo.png") as picture:
        assert picture.width > 1500
        assert len(picture.getcolors(1 << 20) or ()) > 100  # not a black screen
    assert {path.name for path in tmp_path.iterdir()} == {"demo.png", "demo-transcript.txt"}  # nothing is left behind
