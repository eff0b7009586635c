"""What the distributions ask of PyTorch: no plugin allows an older one than synctool itself does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_TORCH = re.compile(r'"torch>=([0-9.]+)"')
FILES = [
    *ROOT.glob("plugins/*/pyproject.toml"),
    *ROOT.glob("src/synctool/plugins/templates/pyproject*"),
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_plugins_ask_for_the_pytorch_that_synctool_asks_for(path: Path) -> None:
    own = _TORCH.findall((ROOT / "pyproject.toml").read_text())
    assert len(own) == 1
    asked = _TORCH.findall(path.read_text())
    assert asked in ([], own)
    assert asked or '"torch' not in path.read_text()
