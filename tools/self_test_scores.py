"""Write the scores that ``synctool doctor`` compares with, for the default weights; run it when these change.

python tools/self_test_scores.py [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from synctool.doctor.self_test import FILE, expected_scores, scores
from synctool.networks.load import load_model

TARGET = Path(__file__).resolve().parent.parent / "src" / "synctool" / "doctor" / FILE


def main() -> int:
    """Write the file, or say whether it is stale."""
    model = load_model()
    if "--check" in sys.argv[1:]:
        if model.weights not in expected_scores():
            print(f"{TARGET} has no scores of {model.weights}: python tools/self_test_scores.py")
            return 1
        return 0
    TARGET.write_text(json.dumps({model.weights: scores(model)}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
