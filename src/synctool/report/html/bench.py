"""The page of ``bench``: one score card, or two beside each other."""

from __future__ import annotations

import json

from synctool._version import __version__
from synctool.bench.card import Card
from synctool.bench.comparing import ComparedCards
from synctool.bench.items import PARTS
from synctool.bench.metrics import SCORE
from synctool.report.bench_card import (
    MADE_UP,
    compared_table,
    definitions_table,
    facts,
    failures_table,
    figure,
    groups_table,
    parts_table,
    windows_table,
    wrong_table,
)
from synctool.report.html.page import embedded_json, render
from synctool.report.json_out import clean
from synctool.report.text import counted, printable
from synctool.report.wording import capital


def bench_page(card: Card, *, command: str) -> str:
    """The page of a card.

    Args:
        card: The card.
        command: The command that made it.
    """
    score, foreign = card.metric(SCORE), card.metric("false_answers", "foreign")
    figures = [("score", figure(score), "share of videos dealt with rightly, mean over the parts")]
    if foreign is not None:
        figures.append(("false answers", figure(foreign), "of videos in which no offset is right"))
    speed, ratio = (card.metric(name, "speed") for name in ("real_time", "decode_ratio"))
    if speed is not None:
        note = (
            "" if ratio is None else f"{figure(ratio)} times the time of decoding, in the same run"
        )
        figures.append(("times real time", figure(speed), note))
    groups = [groups_table(card, part) for part in PARTS]
    tables = [
        parts_table(card),
        *groups,
        windows_table(card),
        failures_table(card),
        wrong_table(card),
    ]
    data = json.dumps(clean(card.to_dict()), allow_nan=False)
    return _page(
        title=card.name,
        finding=f"{card.bench}{', quick' if card.quick else ''}: {counted(len(card.answers), 'video')}",
        figures=figures,
        tables=[table for table in tables if table is not None and table.rows],
        definitions=definitions_table([m.name for m in card.metrics]),
        facts=[(capital(name), printable(value)) for name, value in facts(card)],
        json=embedded_json(data),
        remarks=[],
        command=command,
    )


def compared_page(cards: ComparedCards, *, command: str) -> str:
    """The page of two cards.

    Args:
        cards: The cards.
        command: The command that made it.
    """
    told = [
        (f"{place}: {name}", printable(value))
        for place, card in (("First", cards.first), ("Second", cards.second))
        for name, value in [("name", card.name), *facts(card)]
    ]
    return _page(
        title=f"{cards.first.name} and {cards.second.name}",
        finding=cards.first.bench,
        figures=[],
        tables=[compared_table(cards)],
        definitions=definitions_table([m.name for m in cards.metrics]),
        facts=told,
        json=None,
        remarks=list(cards.remarks),
        command=command,
    )


def _page(*, title: str, command: str, **more) -> str:
    return render(
        "bench.html.j2",
        title=printable(title),
        command=printable(command),
        version=__version__,
        made_up=MADE_UP,
        **more,
    )
