"""What a foreman leads: a crew of actors at their places, and the jobs that they get."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """Where an actor lives: the `number`-th of its kind on a node."""

    node_id: str
    node: str
    number: int = 0


@dataclass(eq=False, slots=True)
class Job:
    """`alone`: nothing else may be in the actor's hands. After `lives` deaths the job is at fault."""

    arguments: tuple[Any, ...]
    limit: float
    lives: int
    alone: bool
    losses: int = 0
    begun: float = 0.0
    future: Future = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Crew:
    """What a crew is made of.

    `start` makes an actor at a place; its ``hello`` and ``work`` answer (True, value) or (False, error).
    `places` says where actors should be now. `at_once` jobs are in an actor's hands. `welcome` is told what
    ``hello`` gave, and may refuse with an error, which ends everything.
    """

    start: Callable[[Place], Any]
    places: Callable[[], list[Place]]
    at_once: int
    welcome: Callable[[Place, Any], None] = lambda *_: None
    done: Callable[[Place, Any, float], None] = lambda *_: None
    lost: Callable[[Place], None] = lambda _: None
