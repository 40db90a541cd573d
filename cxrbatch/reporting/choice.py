"""Which findings a report draws a heat map for: the meaning of ``--findings``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cxrbatch.bundles.card import Card
from cxrbatch.reporting.content import DEFAULT_ACUTE
from cxrbatch.scoring.decision import is_flagged, margin

_TOP = re.compile(r"top:(\d+)", re.IGNORECASE)


def findings_to_draw(spec: str, card: Card, probabilities: Sequence[float]) -> list[str]:
    """The findings to draw, most above its threshold first.

    Args:
        spec: ``flagged`` (those at or above threshold, and at least the top one by margin), ``top:N``
            (the N findings with the best validated AUROC on the card), ``all``, or names separated by
            commas. Names match regardless of case, spaces and underscores.
        probabilities: raw, in the order of ``card.findings``.

    Raises:
        ValueError: an unknown finding, or ``top:N`` with N of 0 or a card without validated AUROCs.
    """
    by_name = dict(zip(card.findings, probabilities, strict=True))

    def sort_key(name: str) -> tuple[float, str]:
        return (-margin(by_name[name], card.thresholds[name]), name)

    ordered = sorted(card.findings, key=sort_key)
    chosen = _chosen(spec, card)
    if chosen is not None:
        return [name for name in ordered if name in chosen]
    flagged = [name for name in ordered if is_flagged(by_name[name], card.thresholds[name])]
    return flagged or ordered[:1]


def check_findings(spec: str, card: Card) -> None:
    """Refuse a ``--findings`` that this card cannot answer, before the night starts.

    Raises:
        ValueError: as `findings_to_draw`.
    """
    _chosen(spec, card)


def acute_on(card: Card, acute: Sequence[str]) -> tuple[str, ...]:
    """The acute findings as the card spells them; names match regardless of case, spaces and underscores.

    Those of the default list may be missing on a card. Another name that is missing is a slip of the pen,
    and would put patients at the end of the worklist without a word.

    Raises:
        ValueError: a name that is neither on the card nor in the default list.
    """
    known = {_folded(name): name for name in (*DEFAULT_ACUTE, *card.findings)}
    unknown = [name for name in acute if _folded(name) not in known]
    if unknown:
        received = ", ".join(map(repr, unknown))
        raise ValueError(f"No such finding: {received}. Known: {', '.join(card.findings)}.")
    return tuple(known[_folded(name)] for name in acute)


def _chosen(spec: str, card: Card) -> frozenset[str] | None:
    """The findings named by `spec` whatever the probabilities; None for ``flagged``."""
    word = spec.strip().lower()
    if word == "flagged":
        return None
    if word == "all":
        return frozenset(card.findings)
    if word.startswith("top:"):
        return frozenset(_best_validated(spec, card))
    return frozenset(_named(spec, card))


def _best_validated(spec: str, card: Card) -> list[str]:
    match = _TOP.fullmatch(spec.strip())
    count = int(match.group(1)) if match else 0
    if count < 1:
        raise ValueError(f"Findings 'top:N' needs a whole number of at least 1. Received: {spec!r}.")
    figures = card.validation.findings if card.validation else {}
    aurocs = {
        name: figures[name].auroc or 0.0
        for name in card.findings
        if name in figures and figures[name].auroc is not None
    }
    if not aurocs:
        raise ValueError(
            f"Findings {spec!r} needs validated AUROCs, and the card of '{card.name}' has none: "
            "name the findings, or use 'flagged' or 'all'."
        )
    return sorted(aurocs, key=lambda name: (-aurocs[name], name))[:count]


def _named(spec: str, card: Card) -> list[str]:
    known = {_folded(name): name for name in card.findings}
    names = [part for part in spec.split(",") if part.strip()]
    unknown = [part.strip() for part in names if _folded(part) not in known]
    if unknown or not names:
        received = ", ".join(repr(name) for name in unknown) or repr(spec)
        raise ValueError(f"No such finding: {received}. Known: {', '.join(card.findings)}.")
    return [known[_folded(part)] for part in names]


def _folded(name: str) -> str:
    return re.sub(r"[\s_]+", "", name).casefold()
