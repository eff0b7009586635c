"""Measure the constant offset of every person and source with a network trained on one source.

Corpora differ in their own constant delay by about a frame, and so do the channels and studios in
them. A network that was trained on one source alone takes that source's constant for zero and reads
the others against it: the mean score curve over a person's clips peaks at that person's constant.
Persons with few clips are drawn towards their source's mean. The result is what
`synctool train --constants` takes.

In some corpora every clip has an offset of its own, as their videos were cut carelessly. With --clips
SOURCE each clip of such a source gets one: its own curve against its person's constant, from which
clips are taken to lie about a frame away.

    python benchmarks/source_constants.py PROCESSED runs/grid/last.safetensors constants.json
    python benchmarks/source_constants.py PROCESSED runs/all/last.safetensors clips.json --clips LRW-AR
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from literature.multiway import MAX_OFFSET, clip_volume
from literature.offset_bias import clip_constant

from synctool.data.processed import Processed
from synctool.data.samples import Sample
from synctool.networks.load import load_model
from synctool.plugins.specs import BackboneSpec
from synctool.prepare.pairs import SPLIT_FILE, read_split
from synctool.scoring.offset import parabola_vertex

CLIPS = 60
"""At most so many clips of a person are measured."""
PRIOR_CLIPS = 8
"""A person's own clips weigh against so many of the source's mean."""
FARTHEST_FRAMES = 2.0


def mean_curve(
    network, clips: list[Sample], spec: BackboneSpec, *, first: int | None = None
) -> np.ndarray:
    """Sum over the frames of clips of the head's log-probabilities, ``[31]``.

    Args:
        network: An ``OffsetClassifier`` in evaluation mode.
        clips: Each lends the one before it audio for the candidates beyond its ends.
        spec: What it takes, and how far it looks.
        first: Only so many of them are looked at.
    """
    curve = np.zeros(2 * MAX_OFFSET + 1)
    for i, clip in enumerate(clips[:first]):
        filler = clips[(i + 1) % len(clips)].audio
        _, logits = clip_volume(network, clip, filler, spec=spec)
        curve += logits[0].float().log_softmax(0).sum(1).numpy()
    return curve


def peak(curve: np.ndarray) -> float:
    """Sub-frame offset of a curve's peak."""
    row = int(curve[1:-1].argmax()) + 1
    return row - MAX_OFFSET + float(parabola_vertex(*curve[row - 1 : row + 2]))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("processed", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--backbone", default="fcn-cls")
    parser.add_argument("--clips", nargs="+", action="extend", default=[], metavar="SOURCE")
    given = parser.parse_args()
    model = load_model(given.backbone, weights=given.weights, device="cpu", runtime="torch")
    split = read_split(given.processed / SPLIT_FILE)
    people: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in Processed(given.processed).samples():
        people[sample.info.source][split[sample.info.key].person].append(sample)
    rng = np.random.default_rng(0)
    constants: dict[str, float] = {}
    for source, persons in sorted(people.items()):
        curves = {}
        for person, clips in sorted(persons.items()):
            chosen = [clips[i] for i in rng.permutation(len(clips))[:CLIPS]]
            curves[person] = mean_curve(model.network, chosen, model.spec)
        middle = peak(sum(curves.values()))
        constants[source] = round(middle, 2)
        for person, curve in curves.items():
            count = min(len(persons[person]), CLIPS)
            own = float(np.clip(peak(curve), middle - FARTHEST_FRAMES, middle + FARTHEST_FRAMES))
            mixed = (count * own + PRIOR_CLIPS * middle) / (count + PRIOR_CLIPS)
            constants[person] = round(mixed, 2)
        print(f"{source}: {middle:+.2f} frames, {len(persons)} people")
        if source in given.clips:
            own = {
                clip.info.key: clip_constant(
                    mean_curve(model.network, [clip, *others], model.spec, first=1),
                    constants[person],
                )
                for person, clips in sorted(persons.items())
                for clip, others in ((c, [clips[i - 1]]) for i, c in enumerate(clips))
            }
            constants |= {key: round(value, 2) for key, value in own.items()}
            print(f"  its clips: spread {np.std(list(own.values())):.2f} frames")
    given.out.write_text(json.dumps(constants, indent=1) + "\n")


if __name__ == "__main__":
    main()
