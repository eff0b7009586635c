"""The page of the public API says what there is."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import synctool

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "api.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.+?)```", PAGE, re.S)


def test_the_page_has_every_public_name_and_an_example_of_it() -> None:
    assert set(re.findall(r"`(\w+)`", PAGE)) >= set(synctool.__all__)
    assert set(re.findall(r"synctool\.(\w+)", "".join(EXAMPLES))) == set(synctool.__all__)


@pytest.mark.parametrize("code", EXAMPLES, ids=lambda code: code.splitlines()[0])
def test_examples_call_what_there_is(code: str) -> None:
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if not re.fullmatch(r"synctool(\.\w+)+", name):
            continue
        words = name.split(".")
        called: Any = synctool
        for word in words[1:]:
            called = getattr(called, word)
        named = {word.arg: None for word in node.keywords if word.arg}
        inspect.signature(called).bind(*node.args, **named)
        if words[1] in {
            "detect",
            "compare",
            "train",
            "preprocess",
            "pairs",
            "adapt",
            "export",
            "download",
        }:
            own = inspect.signature(called).parameters
            settings = getattr(synctool, f"{words[1].capitalize()}Settings")
            changes = {word for word in named if word not in own}
            assert changes <= set(inspect.signature(settings).parameters)
