"""``adapt``: a few minutes of videos without labels, and a model that knows them, if it helps."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from synctool._version import __version__
from synctool.adapting.adaptation import Adaptation, StageResult
from synctool.adapting.adapted_model import (
    check_output,
    exported_model,
    is_weight_file,
    write_exported,
    write_weights,
)
from synctool.adapting.blending import blended
from synctool.adapting.domain import DomainClip, domain_clips, of_part, processed_folder
from synctool.adapting.gains import (
    ALL_LENGTHS,
    Answers,
    Figure,
    accept,
    answers,
    belonging,
    figures,
    gain,
    zero_change,
)
from synctool.adapting.general_set import general_clips
from synctool.adapting.measured_segments import LENGTHS_S, MeasuredSegments, measure_segments
from synctool.adapting.relative_labels import labels, references
from synctool.adapting.work_folder import WorkFolder
from synctool.errors import InconclusiveError, MissingError, UsageError
from synctool.evaluation.bootstrap import Interval
from synctool.extras import require
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.networks.names import model_spec
from synctool.scoring.confidence import Calibration
from synctool.settings.adapt import STAGES, AdaptSettings
from synctool.training.calibration import calibrate, segments
from synctool.types import VIDEO_FPS
from synctool.weights.artefact import is_artefact

_LEAST_BELONGING = 0.1
"""The audio of a folder belongs to its faces where the interval of ``belonging`` lies above this."""
_LEAST_LABELLED = 8
"""Fewer sure clips are not learned from."""
_FREE = {"device", "jobs", "minutes", "general"}
"""Settings that say where and how long; the amounts that follow from ``minutes`` are noted in its place."""
BEFORE = "before"


@dataclass(frozen=True)
class AdaptProgress:
    """How far a run is.

    Attributes:
        step: What is being done.
        done: How much of it.
        total: How much there is.
    """

    step: str
    done: int
    total: int


@dataclass(frozen=True)
class Amounts:
    """How much work is done: by the minutes asked for and nothing that a clock says, so that a run can be
    repeated exactly.

    Attributes:
        learned: Clips that are looked at for labels.
        tested: Held-out clips that measure.
        guarding: Clips of the general set.
        calibrated: Clips that confidences are fitted on.
        batches: Batches for statistics of batch normalisation.
        steps: Optimizer steps.
    """

    learned: int
    tested: int
    guarding: int
    calibrated: int
    batches: int
    steps: int

    @classmethod
    def of(cls, minutes: float) -> Amounts:
        """What takes about so many minutes on two cores."""
        return cls(
            learned=max(16, round(12 * minutes)),
            tested=max(12, round(6 * minutes)),
            guarding=max(24, round(6 * minutes)),
            calibrated=max(16, round(3 * minutes)),
            batches=max(4, round(minutes)),
            steps=max(8, round(16 * minutes)),
        )


@dataclass(frozen=True)
class Candidate:
    """A model that was tried.

    Attributes:
        name: Of its tensors.
        model: With its own calibration.
        weights: Its weight file; None for an exported model.
    """

    name: str
    model: LoadedModel
    weights: Path | None

    @property
    def calibration(self) -> Calibration:
        """What its confidences come from."""
        return self.model.calibration


def adapt(
    folder: str | Path,
    out: str | Path,
    settings: AdaptSettings | None = None,
    *,
    work: str | Path | None = None,
    on_progress: Callable[[AdaptProgress], None] | None = None,
    **changes: Any,
) -> Adaptation:
    """Adapt a model to the videos of a folder, and write it where it helps.

    The same settings, videos and model give the same result on the same machine; a run that was
    interrupted goes on where it was.

    Args:
        folder: Videos without labels, or what ``preprocess`` made of them.
        out: Weight file (``.safetensors``); any other name is the folder of an exported model with
            another calibration, which takes no PyTorch.
        settings: What is adapted; None for the defaults.
        work: Folder for unfinished work, which is kept; None for one beside ``out`` that is removed at
            the end.
        on_progress: Told how far it is.
        changes: Settings by name that differ from ``settings``: see ``AdaptSettings``.

    Returns:
        What was found; ``output`` is None where nothing helped, and nothing was written.

    Raises:
        InconclusiveError: The folder has too little to learn from and to test with.
        MissingError: No such folder, weights, or extra.
        UsageError: The unfinished work there is another's, or the model cannot be adapted so.
        KeyboardInterrupt: Ctrl-C; what is finished is kept.
    """
    settings = AdaptSettings.of(settings, changes)
    run = _Adapting(Path(folder), Path(out), settings, work, on_progress or (lambda _: None))
    try:
        found = run()
    except (InconclusiveError, MissingError):
        if work is None:
            run.work.remove()
        raise
    if work is None:
        run.work.remove()
    return found


class _Adapting:
    """One run."""

    def __init__(
        self,
        folder: Path,
        out: Path,
        settings: AdaptSettings,
        work: str | Path | None,
        tell: Callable[[AdaptProgress], None],
    ) -> None:
        self.folder, self.out, self.settings = folder, out, settings
        self.amounts = Amounts.of(settings.minutes)
        self._tell = tell
        if not folder.is_dir():
            raise MissingError(f"{folder} is no folder", remedy="Give a folder of videos.")
        check_output(out)
        self.stages = [name for name in STAGES if name in settings.stages]
        self._check_output_takes_stages()
        self.before = self._loaded()
        place = Path(work) if work is not None else out.with_name(f"{out.name}.work")
        lasting = {k: v for k, v in settings.plain().items() if k not in _FREE}
        self.work = WorkFolder(
            place,
            {
                **lasting,
                **asdict(self.amounts),
                "folder": str(folder.resolve()),
                "general": settings.general and str(settings.general.resolve()),
                "weights": self.before.model.weights,
                "synctool": __version__,
            },
        )

    def __call__(self) -> Adaptation:
        spec = self.before.model.spec
        processed = processed_folder(
            self.folder,
            self.work.path,
            spec,
            self.settings,
            on_progress=lambda p: self._say("reading the videos", p.films_done, p.films_total),
        )
        clips = domain_clips(processed, self.settings)
        seed, amounts = self.settings.seed, self.amounts
        self.learn = of_part(clips, "learn", "calibrate", most=amounts.learned, seed=seed)
        self.test = of_part(clips, "test", most=amounts.tested, seed=seed)
        self.general = general_clips(
            self.settings.general, spec, most=amounts.guarding, seed=seed, tell=self._say
        )
        wholes = self._measured(self.before, "learn")
        self.labels = labels(wholes, self.learn, self.before.calibration)
        self.base = {name: self._answers(self.before, name) for name in ("domain", "general")}
        belongs = belonging(self.base["domain"], self.test)
        refused = self._refusal(belongs)
        results: list[StageResult] = []
        current = self.before
        for name in () if refused else self.stages:
            result, candidate = self._try(name, current, processed)
            results.append(result)
            current = candidate if result.accepted else current
        if refused is None and current is self.before:
            refused = "nothing that was tried helps: the model stays as it is"
        counts = Counter(clip.part for clip in clips)
        units = {part: len({c.unit for c in clips if c.part == part}) for part in counts}
        found = Adaptation(
            folder=str(self.folder),
            backbone=spec.full_name,
            weights=self.before.model.weights,
            output=None if refused else str(self.out),
            refused=refused,
            clips=counts,
            units=units,
            seconds=sum(clip.frames for clip in clips) / VIDEO_FPS,
            labelled=len(self.labels) / len(self.learn),
            belonging=(belongs.value, belongs.low, belongs.high),
            general=str(self.settings.general or "rendered faces"),
            margin=self.settings.margin,
            seed=seed,
            stages=results,
            settings={k: v for k, v in self.settings.plain().items() if v is not None},
        )
        if refused is None:
            self._write(current, found)
        return found

    # ----------------------------------------------------------------- the model

    def _check_output_takes_stages(self) -> None:
        if is_weight_file(self.out):
            require("train", "weights as safetensors", "torch")
        elif self.stages != ["calibration"]:
            raise UsageError(
                f"{self.out} is no name of a weight file, and exported models take another calibration only",
                remedy="Give a name that ends in .safetensors, or --stages calibration.",
            )
        if self.stages != ["calibration"]:
            require("train", "adapting more than the calibration", "torch", "lightning_fabric")

    def _loaded(self) -> Candidate:
        given, backbone = self.settings.weights, self.settings.backbone
        if not is_weight_file(self.out):
            folder = exported_model(backbone, given).folder
            own = given is None
            model = (
                load_model(backbone, device="cpu")
                if own
                else load_model(backbone, weights=folder, device="cpu")
            )
            return Candidate(BEFORE, model, None)
        if given is not None and is_artefact(given):
            raise UsageError(
                f"{given} is an exported model, and the output a weight file",
                remedy="Give the weight file that it was made of, or a folder with --stages calibration.",
            )
        from synctool.weights.files import find_weights

        path = given or find_weights(model_spec(backbone).weights, backbone=backbone)
        return Candidate(BEFORE, self._opened(path), path)

    def _opened(self, path: Path) -> LoadedModel:
        return load_model(self.settings.backbone, weights=path, device="cpu", runtime="torch")

    def _write(self, chosen: Candidate, found: Adaptation) -> None:
        facts = found.to_dict()
        shown = {f"{f.set} {f.name}": asdict(f) for f in _of_all(found)}
        provenance = {
            **{
                k: facts[k]
                for k in ("weights", "synctool", "clips", "units", "seconds", "settings")
            },
            "stages": [stage.name for stage in found.accepted],
            "figures": shown,
        }
        provenance["settings"] = {
            k: v for k, v in facts["settings"].items() if k not in {"weights", "general"}
        }
        if chosen.weights is None:
            artefact = exported_model(self.settings.backbone, self.settings.weights)
            write_exported(artefact, self.out, chosen.calibration, provenance)
        else:
            write_weights(chosen.weights, self.out, chosen.calibration, provenance)

    # ----------------------------------------------------------------- measuring

    def _say(self, step: str, done: int, total: int) -> None:
        self._tell(AdaptProgress(step, done, total))

    def _clips(self, set_name: str) -> list[DomainClip]:
        return {"domain": self.test, "general": self.general, "learn": self.learn}[set_name]

    def _measured(self, candidate: Candidate, set_name: str) -> MeasuredSegments:
        clips = self._clips(set_name)
        words = {
            "domain": "the held-out videos",
            "general": "the general set",
            "learn": "the videos",
        }
        step = f"measuring {words[set_name]}, {candidate.name}"
        return self.work.measured(
            f"{candidate.name}-{set_name}",
            lambda: measure_segments(
                candidate.model,
                [clip.sample for clip in clips],
                [clip.unit for clip in clips],
                seed=self.settings.seed,
                lengths_s=() if set_name == "learn" else LENGTHS_S,
                on_clip=partial(self._say, step),
            ),
        )

    def _answers(self, candidate: Candidate, set_name: str) -> Answers:
        """Its answers; those of the general set must be what the model before gives."""
        measured, clips = self._measured(candidate, set_name), self._clips(set_name)
        if set_name == "domain":
            reference = references(measured, clips, candidate.calibration)
        else:
            told = self._measured(self.before, set_name)
            reference = references(told, clips, self.before.calibration, or_whole=True)
        return answers(measured, reference, candidate.calibration)

    def _refusal(self, belongs: Interval) -> str | None:
        """Why nothing can be learned from this folder."""
        if belongs.value != belongs.value:
            return (
                "no held-out video is twice as long as a segment of a second, so nothing tells what is "
                "right: give longer videos, or --same-offset folder or all where that is so"
            )
        if not belongs.low > _LEAST_BELONGING:
            return (
                "the audio of these videos fits their faces hardly better than that of other videos: "
                "other people's voices, music, no speech, or nothing that the model can read"
            )
        if len(self.labels) < _LEAST_LABELLED:
            return (
                f"the model is sure of {len(self.labels)} of the {len(self.learn)} videos to learn from, "
                f"and {_LEAST_LABELLED} are needed"
            )
        return None

    # ----------------------------------------------------------------- the stages

    def _try(self, name: str, current: Candidate, processed: Path) -> tuple[StageResult, Candidate]:
        """Try a stage on top of what was accepted."""
        made = self._made(name, current, processed)
        if isinstance(made, str):
            return StageResult(name, False, made), current
        now = {s: self._answers(made, s) for s in ("domain", "general")}
        rows: list[Figure] = []
        for set_name, found in now.items():
            rows += figures(self.base[set_name], found, self._clips(set_name), set_name=set_name)
        zeros = {s: zero_change(self.base[s], found) for s, found in now.items()}
        last = self._answers(current, "domain")
        rise = gain(last, now["domain"], self.test)
        of_all = {(f.set, f.name): f for f in rows if f.length_s == ALL_LENGTHS}
        said = accept(rise, of_all, zeros, margin=self.settings.margin)
        return StageResult(name, said.accepted, said.reason, rows, zeros), made

    def _made(self, name: str, current: Candidate, processed: Path) -> Candidate | str:
        """What a stage makes of a candidate, or why it cannot."""
        if name == "calibration":
            return self._calibrated(current, self.learn) or "too few sure videos to fit it on"
        make = self._normalized if name == "normalization" else self._trained
        made = make(current, processed)
        if isinstance(made, str) or "calibration" not in self.stages:
            return made
        unseen = [c for c in self.learn if name == "normalization" or c.part == "calibrate"]
        return self._calibrated(made, unseen) or made

    def _calibrated(self, candidate: Candidate, clips: Sequence[DomainClip]) -> Candidate | None:
        """The same with a calibration fitted on sure clips; None where there are too few."""
        chosen = [clip for clip in clips if clip.key in self.labels]
        chosen = of_part(
            chosen, "learn", "calibrate", most=self.amounts.calibrated, seed=self.settings.seed
        )
        if len(chosen) < _LEAST_LABELLED:
            return None
        units = {clip.key: clip.unit for clip in chosen}

        def make() -> Calibration | None:
            self._say(f"fitting the calibration, {candidate.name}", 0, 0)
            examples = segments(
                candidate.model,
                [clip.sample for clip in chosen],
                true_offset=lambda sample: self.labels[sample.info.key],
                person=lambda sample: units[sample.info.key],
                degraded_share=0.0,  # the videos of this folder as they are
                seed=self.settings.seed,
            )
            try:
                report = calibrate(examples)
                return blended(candidate.calibration, report.calibration, examples=report.examples)
            except ValueError:  # no estimate to learn from
                return None

        fitted = self.work.calibration(candidate.name, make)
        if fitted is None:
            return None
        fitted = replace(fitted, sets=None)  # they take true labels, which a folder does not have
        return replace(candidate, model=replace(candidate.model, calibration=fitted))

    def _normalized(self, current: Candidate, processed: Path) -> Candidate | str:
        from synctool.adapting.normalization import NoStatistics, with_statistics_of

        model = current.model
        try:
            path = self.work.weights(
                "normalization",
                lambda path: _save_like(
                    current,
                    with_statistics_of(
                        model.network,
                        self.learn,
                        model.spec,
                        batches=self.amounts.batches,
                        seed=self.settings.seed,
                        on_batch=partial(self._say, "statistics of normalisation"),
                    ),
                    path,
                ),
            )
        except NoStatistics:
            return f"{model.spec.full_name} has no batch normalisation"
        return self._candidate("normalization", path, current)

    def _trained(self, current: Candidate, processed: Path) -> Candidate | str:
        from synctool.adapting.last_layers import trained
        from synctool.weights.files import load_weights

        learn = [clip for clip in self.learn if clip.part == "learn"]
        if sum(clip.key in self.labels for clip in learn) < _LEAST_LABELLED:
            return "too few sure videos to train on"
        assert current.weights is not None
        begun = current.weights

        def make(path: Path) -> None:
            with _without_warnings("synctool.training.data"):
                made = trained(
                    begun,
                    processed,
                    learn,
                    self.labels,
                    self.work.file("training"),
                    current.model,
                    self.settings,
                    header=load_weights(begun).metadata,
                    steps=self.amounts.steps,
                    on_progress=lambda p: self._say("training the last layers", p.step, p.steps),
                )
            _save_like(current, load_weights(made).state, path)

        try:
            path = self.work.weights("training", make)
        except UsageError as error:
            return f"this model cannot be trained so: {error.cause}"
        return self._candidate("training", path, current)

    def _candidate(self, name: str, path: Path, current: Candidate) -> Candidate:
        # The sets of offsets were fitted to the scores of other tensors.
        calibration = replace(current.calibration, sets=None)
        model = replace(self._opened(path), calibration=calibration)
        return Candidate(name, model, path)


def _of_all(found: Adaptation) -> Iterator[Figure]:
    """Figures of all lengths of the result."""
    for figure in found.shown.figures if found.shown else ():
        if figure.length_s == ALL_LENGTHS:
            yield figure


def _save_like(current: Candidate, state: Mapping[str, Any], path: Path) -> None:
    """Write tensors as those of a candidate are kept: the same ones, in the same kinds of numbers."""
    from synctool.training.checkpoint import save_weights
    from synctool.weights.files import load_weights

    assert current.weights is not None
    loaded = load_weights(current.weights)
    kept = {name: state[name].to(old.dtype) for name, old in loaded.state.items()}
    save_weights(path, kept, loaded.metadata)


@contextmanager
def _without_warnings(name: str) -> Iterator[None]:
    """A log keeps its warnings to itself: nobody is kept for validation, as this run tests by itself."""
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
