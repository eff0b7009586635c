"""The folder layouts that come with the package, registered through the plugin door."""

from __future__ import annotations

from synctool.plugins.hookspecs import hookimpl
from synctool.plugins.specs import DatasetSpec


@hookimpl
def synctool_datasets() -> list[DatasetSpec]:
    """Layouts of the known corpora, of plain folders, and one that tells them apart."""
    return [
        DatasetSpec(name, f"synctool.prepare.layouts:{function}", summary)
        for name, function, summary in (
            ("auto", "known", "told by the names of the folders (default)"),
            ("voxceleb", "voxceleb", "id00012/video/00001.mp4: speaker, recording, clip"),
            ("grid", "grid", "s1/bbaf2n.mpg: speaker, sentence"),
            ("lrs", "lrs", "pretrain/recording/00001.mp4: split, recording, utterance"),
            ("lrw", "lrw", "ABOUT/train/ABOUT_00001.mp4: word, split, utterance"),
            ("folders", "folders_tree", "speaker/film/clip.mp4 or speaker/clip.mp4"),
            ("flat", "flat", "every video for itself, nobody named"),
        )
    ]
