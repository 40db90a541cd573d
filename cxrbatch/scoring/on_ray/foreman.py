"""Actors of one kind on every node that is fit: jobs go to whoever is free, and outlive who does them.

A job is in the hands of one actor at a time. Where that dies, another gets the job, alone: if that one dies
too the job is held to be at fault. An actor that goes with its node says nothing about its jobs.

One thread of this process decides everything here; others hand in jobs and wait for futures.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayError

from cxrbatch.scoring.engine import EngineLostError
from cxrbatch.scoring.on_ray.crew import Crew, Job, Place
from cxrbatch.scoring.on_ray.nodes import is_alive
from cxrbatch.workers import WorkerDiedError

_log = logging.getLogger("cxrbatch")

LOOK_SECONDS = 5.0
"""How often the cluster is looked at: for nodes that came, for jobs that hang."""
MOST_LOSSES = 20
"""Nodes that may go with a job in hand before the cluster is held to be at fault."""
MOST_FALSE_STARTS = 3
"""Actors in a row that may end on a place before they had done anything."""
LONELY_SECONDS = 60.0
"""How long a run waits for a node when none is left."""

_NO_ANSWER = (
    "The Ray cluster does not answer any more. See to it, and start the same command again: it goes on."
)
_NOBODY_LEFT = (
    "No node of the Ray cluster is left to work on. See to the cluster, and start the same command again: it "
    "goes on."
)


@dataclass(eq=False, slots=True)
class _Member:
    place: Place
    actor: Any
    is_ready: bool = False
    jobs: list[Job] = field(default_factory=list)
    """Those in its hands, in the order in which it was given them."""
    done: int = 0


class Foreman:
    """Hands a crew its jobs."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._events: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._waiting: deque[Job] = deque()
        self._careful: deque[Job] = deque()
        self._members: list[_Member] = []
        self._false_starts: dict[Place, int] = {}
        self._error: BaseException | None = None
        self._lonely_since: float | None = None
        self._looked = 0.0
        self.ready = 0
        """Actors that can be given jobs."""
        self.starting = 0
        """Actors that are on their way."""
        self._events.put(_nothing)  # so that actors are started at once
        self._thread = threading.Thread(target=self._lead, daemon=True)
        self._thread.start()

    def submit(self, *arguments: Any, limit: float, lives: int = 2, alone: bool = False) -> Future:
        """Have an actor's ``work`` called.

        The future gives its value or raises its error; `WorkerDiedError` after `lives` deaths, those included
        where it took longer than `limit` seconds; EngineLostError where no actor is left.
        """
        job = Job(arguments, limit, lives, alone)
        self._events.put(partial(self._take, job))
        return job.future

    def close(self) -> None:
        """End all actors. Futures that are not done are cancelled."""
        self._events.put(None)
        self._thread.join()

    # -- all of the rest runs in one thread

    def _lead(self) -> None:
        while True:
            try:
                event = self._events.get(timeout=LOOK_SECONDS)
            except Empty:
                event = _nothing
            if event is None:
                break
            try:
                event()
                if time.monotonic() - self._looked > LOOK_SECONDS:
                    self._look()
                self._hand_out()
            except (RayError, ConnectionError, RuntimeError) as error:
                lost = EngineLostError(_NO_ANSWER)
                lost.__cause__ = error
                self._fail(lost)
            except Exception as error:  # a defect of ours: whoever waits for a job is to hear of it
                self._fail(error)
        for member in self._members:
            _end(member.actor)
        self._end_of_jobs()

    def _take(self, job: Job) -> None:
        if self._error is not None:
            _settle(job.future, self._error)
        else:
            (self._careful if job.alone else self._waiting).append(job)

    def _look(self) -> None:
        self._looked = time.monotonic()
        if self._error is not None:
            return
        for member in [
            m for m in self._members if any(self._looked - job.begun > job.limit for job in m.jobs)
        ]:
            _log.warning("A worker on node %s hangs and is replaced.", member.place.node)
            self._lose(member, is_blamed=True)
        wanted = self._crew.places()
        taken = {member.place for member in self._members}
        for place in wanted:
            if place not in taken and self._false_starts.get(place, 0) < MOST_FALSE_STARTS:
                self._start(place)
        self._mind_loneliness()
        self._count()

    def _start(self, place: Place) -> None:
        member = _Member(place, self._crew.start(place))
        self._members.append(member)
        _when_done(
            member.actor.hello.remote(), lambda done: self._events.put(partial(self._greet, member, done))
        )

    def _mind_loneliness(self) -> None:
        if self._members:
            self._lonely_since = None
        elif self._lonely_since is None:
            self._lonely_since = time.monotonic()
        elif time.monotonic() - self._lonely_since > LONELY_SECONDS:
            self._fail(EngineLostError(_NOBODY_LEFT))

    def _greet(self, member: _Member, done: Future) -> None:
        if member not in self._members:
            return
        if done.exception() is not None:
            self._lose(member, is_blamed=False)
            return
        succeeded, value = done.result()
        try:
            if not succeeded:
                raise value
            self._crew.welcome(member.place, value)
        except Exception as error:
            self._fail(error)
            return
        member.is_ready = True
        self._count()

    def _hand_out(self) -> None:
        free = [m for m in self._members if m.is_ready and not any(job.alone for job in m.jobs)]
        free.sort(key=lambda member: len(member.jobs))
        while self._careful and free and not free[0].jobs:
            self._give(free.pop(0), self._careful.popleft())
        if self._careful and free:
            free.pop(0)  # kept free of other jobs, for the next careful one
        while self._waiting and free:
            member = min(free, key=lambda member: len(member.jobs))
            if len(member.jobs) >= self._crew.at_once:
                return
            self._give(member, self._waiting.popleft())

    def _give(self, member: _Member, job: Job) -> None:
        job.begun = time.monotonic()
        member.jobs.append(job)
        answer = member.actor.work.remote(*job.arguments)
        _when_done(answer, lambda done: self._events.put(partial(self._finish, member, job, done)))

    def _finish(self, member: _Member, job: Job, done: Future) -> None:
        if job not in member.jobs:  # its actor was given up before
            return
        error = done.exception()
        if error is not None:
            gone = isinstance(error, ActorUnavailableError) or not is_alive(member.place.node_id)
            self._lose(member, is_blamed=not gone)
            return
        member.jobs.remove(job)
        member.done += 1
        self._false_starts.pop(member.place, None)
        succeeded, value = done.result()
        if succeeded:
            self._crew.done(member.place, value, time.monotonic() - job.begun)
        _settle(job.future, value, succeeded)

    def _lose(self, member: _Member, *, is_blamed: bool) -> None:
        """An actor is gone, or given up. Its jobs go to others."""
        self._members.remove(member)
        _end(member.actor)
        self._crew.lost(member.place)
        if not member.done:
            self._false_starts[member.place] = self._false_starts.get(member.place, 0) + 1
        for job in member.jobs if is_blamed else reversed(member.jobs):
            job.lives -= is_blamed
            job.losses += 1
            if job.lives <= 0:
                job.future.set_exception(WorkerDiedError(None))
            elif job.losses > MOST_LOSSES:
                job.future.set_exception(EngineLostError("The Ray cluster loses its nodes: see to it."))
            elif is_blamed:
                job.alone = True
                self._careful.append(job)
            else:
                (self._careful if job.alone else self._waiting).appendleft(job)
        member.jobs.clear()
        self._looked = 0.0  # a substitute is started at once
        self._count()

    def _fail(self, error: BaseException) -> None:
        self._error = error
        self._end_of_jobs()

    def _end_of_jobs(self) -> None:
        jobs = [*self._waiting, *self._careful, *(job for member in self._members for job in member.jobs)]
        for job in jobs:
            if self._error is not None:
                _settle(job.future, self._error, succeeded=False)
            else:
                job.future.cancel()
        self._waiting.clear()
        self._careful.clear()
        for member in self._members:
            member.jobs.clear()

    def _count(self) -> None:
        self.ready = sum(member.is_ready for member in self._members)
        self.starting = len(self._members) - self.ready

    @property
    def error(self) -> BaseException | None:
        """What ended everything; None as long as nothing has."""
        return self._error


def _end(actor: Any) -> None:
    with suppress(RayError, RuntimeError):  # the cluster is gone, and the actor with it
        ray.kill(actor)


def _nothing() -> None:
    """What happens when nothing happens."""


def _settle(future: Future, value: Any, succeeded: bool = False) -> None:
    if succeeded:
        future.set_result(value)
    else:
        future.set_exception(value)


def _when_done(answer: Any, call: Callable[[Future], None]) -> None:
    answer.future().add_done_callback(call)
