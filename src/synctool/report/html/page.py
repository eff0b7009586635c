"""The frame of a page: templates, the style sheet and the script in it, and safe text.

A page is one file that loads nothing: its policy (Content-Security-Policy) lets the browser run the
page's own script, known by its checksum, and nothing else, whatever the name of a video says.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from synctool.report.charts.description import Look
from synctool.report.charts.palette import style_sheet
from synctool.report.charts.svg import drawing, readout, swatch
from synctool.report.html.marks import verdict_class, verdict_mark
from synctool.report.text import printable
from synctool.report.wording import capital

_IN_SCRIPT = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def render(template: str, **values: Any) -> str:
    """Fill in a template; whatever is not markup already is escaped.

    Args:
        template: Name of a file in ``templates``.
        values: What the template asks for.
    """
    text = environment().get_template(template).render(values)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def embedded_json(text: str) -> Markup:
    """JSON that can stand in a ``script`` element: the same data, with no sign that ends it.

    Args:
        text: JSON; the signs that are escaped can stand inside its strings only.
    """
    return Markup(text.strip().translate(_IN_SCRIPT))


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates, with everything escaped that they are given."""
    made = Environment(
        loader=PackageLoader("synctool.report.html", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script, player_script = asset(made, "page.js"), asset(made, "player.js")
    made.globals.update(
        drawing=drawing,
        readout=lambda chart: embedded_json(readout(chart)),
        swatch=lambda model: swatch(Look("line", model)),
        key=swatch,
        capital=capital,
        verdict_mark=verdict_mark,
        verdict_class=verdict_class,
        style=Markup(f"{style_sheet()}\n{asset(made, 'page.css')}"),
        script=Markup(script),
        policy=page_policy(script),
        player_style=Markup(f"\n{asset(made, 'player.css')}"),
        player_script=Markup(player_script),
        player_policy=page_policy(script, player_script, media="blob:"),
    )
    return made


def _shown(value: Any) -> Any:
    """Whatever comes into a page as text: nothing in it turns the direction or is invisible."""
    return printable(value) if type(value) is str else value


def asset(templates: Environment, name: str) -> str:
    """A style sheet or a script as it stands in a page."""
    loader = templates.loader
    assert loader is not None
    return loader.get_source(templates, name)[0].strip()


def page_policy(*scripts: str, media: str = "", connect: str = "", frame: str = "") -> str:
    """What a page may do: run these scripts, and nothing that is not named.

    Args:
        scripts: Their texts.
        media: Where videos and audio may come from.
        connect: What the scripts may ask.
        frame: What may be shown in frames.
    """
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    rules: Mapping[str, str] = {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "script-src": " ".join(f"'sha256-{digest}'" for digest in digests),
        "img-src": "data:",
        "media-src": media,
        "connect-src": connect,
        "frame-src": frame,
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items() if value)
