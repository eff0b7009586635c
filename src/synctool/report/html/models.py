"""The models of a comparison: their names, colours and cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from synctool.evaluation.metric_specs import Metric
from synctool.evaluation.model_names import model_names
from synctool.report.compare_rows import brief_names, model_of, names_of
from synctool.report.html.charts import model_class
from synctool.report.html.parts import Cell
from synctool.report.html.svg import swatch
from synctool.report.text import printable
from synctool.types import Trial

_LONGEST = 32
"""Characters of a model's name."""


@dataclass(frozen=True)
class Models:
    """The models of a comparison, by backbone and weights: their names as the page shows them."""

    names: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> Models:
        """The models in the order in which they come."""
        names = names_of(trials)
        brief = brief_names(names.values(), _LONGEST)
        return cls({model: brief[name] for model, name in names.items()})

    def named(self, metrics: Iterable[Metric]) -> list[Metric]:
        """Metrics with the names of the models as the page shows them."""
        brief = self.brief()
        return [replace(m, backbone=brief.get(m.backbone, m.backbone)) for m in metrics]

    def brief(self) -> dict[str, str]:
        """The names that the page shows, by the full ones."""
        return dict(zip(model_names(self.names).values(), self.names.values()))

    @property
    def kinds(self) -> dict[str, str]:
        """Class of the strokes by name."""
        return {name: model_class(i) for i, name in enumerate(self.names.values())}

    def name(self, trial: Trial) -> str:
        """The model of a trial."""
        return self.names[model_of(trial)]

    def cell(self, trial: Trial) -> Cell:
        """The model of a trial, with its colour."""
        return model_cell(self.name(trial), self.kinds[self.name(trial)])


def model_cell(name: str, kind: str) -> Cell:
    """The name of a model, with a piece of its line."""
    return Cell(
        Markup("{} {}").format(swatch(f"line {kind}"), printable(name)),
        sort=printable(name),
        kind="model",
    )
