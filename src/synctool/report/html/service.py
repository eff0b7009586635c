"""The page of ``synctool serve``: videos are dropped, followed, shown with their reports, and downloaded."""

from __future__ import annotations

from markupsafe import Markup

from synctool._version import __version__
from synctool.report.html.page import asset, environment, page_policy, render

_VERDICTS = ("in sync", "detectable", "unacceptable", "inconclusive", "failed")


def service_page(*, tokens: bool) -> tuple[str, str]:
    """The page, and the policy (Content-Security-Policy) that it is to be sent with.

    Args:
        tokens: Whether a token is needed, which the page asks for.
    """
    made = environment()
    script, common = asset(made, "serve.js"), asset(made, "page.js")
    policy = page_policy(common, script, connect="'self'", frame="'self'")
    text = render(
        "serve.html.j2",
        title="Measure videos",
        page_policy=policy,
        own_style=Markup(asset(made, "serve.css")),
        own_script=Markup(script),
        tokens=tokens,
        verdicts=_VERDICTS,
        version=__version__,
    )
    return text, policy
