"""What an interrupted adaptation goes on from: finished pieces of work, each written atomically."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from synctool.adapting.measured_segments import MeasuredSegments
from synctool.errors import UsageError
from synctool.files import make_folder, write_text
from synctool.scoring.confidence import Calibration
from synctool.untrusted.documents import read_json
from synctool.untrusted.origin import MalformedError

_FACTS = "adapt.json"


class WorkFolder:
    """Pieces of work by name, made once.

    Args:
        path: The folder.
        facts: What they depend on.

    Raises:
        UsageError: It holds the work of other settings, another model, or another folder.
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path = path
        make_folder(path)
        stored = path / _FACTS
        text = json.dumps(facts, indent=1, sort_keys=True) + "\n"
        if stored.is_file():
            self._refuse_another(stored, json.loads(text))
        elif any(not p.name.startswith(".synctool-") for p in path.iterdir()):
            raise UsageError(
                f"{path} holds something else", remedy="Name an empty folder with --work."
            )
        else:
            write_text(stored, text)

    def _refuse_another(self, stored: Path, facts: dict[str, Any]) -> None:
        try:
            before = read_json(stored)
        except (OSError, MalformedError):
            before = {}
        known = before if isinstance(before, dict) else {}
        changed = sorted(k for k in {**facts, **known} if facts.get(k) != known.get(k))
        if changed:
            raise UsageError(
                f"{self.path} holds an unfinished adaptation with another {', '.join(changed)}",
                remedy="Give the same settings to go on with it, remove it, or name another with --work.",
            )

    def file(self, name: str) -> Path:
        """Where a piece is kept."""
        return self.path / name

    def measured(self, name: str, make: Callable[[], MeasuredSegments]) -> MeasuredSegments:
        """Measured segments: those that are there, or made now."""
        path = self.file(f"measured-{name}.npz")
        if path.is_file():
            return MeasuredSegments.load(path)
        made = make()
        made.save(path)
        return made

    def calibration(self, name: str, make: Callable[[], Calibration | None]) -> Calibration | None:
        """A calibration, likewise; None where none can be fitted."""
        path = self.file(f"calibration-{name}.json")
        if path.is_file():
            return Calibration.load(path)
        made = make()
        if made is not None:
            made.save(path)
        return made

    def weights(self, name: str, make: Callable[[Path], None]) -> Path:
        """A weight file, likewise."""
        path = self.file(f"{name}.safetensors")
        if not path.is_file():
            make(path)
        return path

    def remove(self) -> None:
        """Remove the folder and all in it."""
        shutil.rmtree(self.path, ignore_errors=True)
