"""Who gets a job, and what becomes of it when an actor dies, with actors that are stood in for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from cxrbatch.scoring.engine import EngineLostError
from cxrbatch.workers import WorkerDiedError

pytestmark = pytest.mark.ray
SECONDS = 20.0


class Answer:
    """As Ray's reference to a result."""

    def __init__(self) -> None:
        self._future: Future = Future()

    def future(self) -> Future:
        return self._future


class Method:
    def __init__(self, call: Callable[..., Future]) -> None:
        self.remote = lambda *arguments: call(*arguments)


class Actor:
    """Keeps what it is given until the test says what becomes of it."""

    def __init__(self) -> None:
        self.given: list[tuple[tuple[Any, ...], Answer]] = []
        self.hello = Method(self._hello)
        self.work = Method(self._work)

    def _hello(self) -> Answer:
        answer = Answer()
        answer.future().set_result((True, "here"))
        return answer

    def _work(self, *arguments: Any) -> Answer:
        self.given.append((arguments, Answer()))
        return self.given[-1][1]

    def die(self, error: Exception) -> None:
        for _, answer in self.given:
            if not answer.future().done():
                answer.future().set_exception(error)


class Stage:
    """A foreman with two places, and the actors that it has made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from cxrbatch.scoring.on_ray import foreman
        from cxrbatch.scoring.on_ray.crew import Crew, Place

        self.alive = True
        self.actors: list[Actor] = []
        self.trouble: Exception | None = None
        monkeypatch.setattr(foreman, "_end", lambda actor: None)
        monkeypatch.setattr(foreman, "is_alive", lambda node_id: self.alive)
        monkeypatch.setattr(foreman, "LOOK_SECONDS", 0.05)
        self.foreman = foreman.Foreman(Crew(start=self._start, places=lambda: self._places(Place), at_once=2))

    def _places(self, place: Any) -> list[Any]:
        if self.trouble is not None:
            raise self.trouble
        return [place("a", "a"), place("b", "b")]

    def _start(self, _: Any) -> Actor:
        self.actors.append(Actor())
        return self.actors[-1]

    def holders(self, job: str) -> list[Actor]:
        return [actor for actor in self.actors for (given, _) in actor.given if given == (job,)]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    made = Stage(monkeypatch)
    yield made
    made.foreman.close()


def died() -> Exception:
    from ray.exceptions import ActorDiedError

    return ActorDiedError()


def test_a_job_that_two_actors_die_of_is_at_fault(stage: Stage, tools: Any) -> None:
    bad = stage.foreman.submit("bad", limit=SECONDS)
    tools.until(lambda: stage.holders("bad"), "the job given", SECONDS)
    stage.holders("bad")[0].die(died())
    tools.until(lambda: len(stage.holders("bad")) == 2, "the job given again", SECONDS)
    stage.holders("bad")[1].die(died())
    with pytest.raises(WorkerDiedError):
        bad.result(SECONDS)
    assert len(stage.holders("bad")) == 2


def test_the_second_time_it_is_given_alone(stage: Stage, tools: Any) -> None:
    jobs = {name: stage.foreman.submit(name, limit=SECONDS) for name in "wxyz"}
    tools.until(lambda: sum(len(actor.given) for actor in stage.actors) == 4, "four jobs given", SECONDS)
    first = stage.actors[0]
    (one,), (two,) = (arguments for arguments, _ in first.given)
    first.die(died())
    tools.until(lambda: len(stage.holders(one)) == 2 and len(stage.holders(two)) >= 1, "again", SECONDS)
    for actor in stage.actors[1:]:
        assert len({given for (given,), _ in actor.given} & {one, two}) <= 1
    for actor in stage.actors[1:]:
        for _, answer in actor.given:
            answer.future().set_result((True, "done"))
    tools.until(lambda: len(stage.holders(two)) == 2, "the other again", SECONDS)
    for actor in stage.actors[1:]:
        for _, answer in actor.given:
            if not answer.future().done():
                answer.future().set_result((True, "done"))
    assert [jobs[name].result(SECONDS) for name in "wxyz"] == ["done"] * 4


def test_nodes_that_go_are_not_held_against_a_job(stage: Stage, tools: Any) -> None:
    job = stage.foreman.submit("job", limit=SECONDS)
    stage.alive = False
    for time in range(1, 6):
        tools.until(lambda n=time: len(stage.holders("job")) == n, "the job given", SECONDS)
        holder = stage.holders("job")[-1]
        holder.given.append((("done",), Answer()))
        holder.die(died())
    tools.until(lambda: len(stage.holders("job")) == 6, "the job given once more", SECONDS)
    stage.holders("job")[-1].given[-1][1].future().set_result((True, 42))
    assert job.result(SECONDS) == 42


def test_an_actor_that_hangs_is_given_up(stage: Stage, tools: Any) -> None:
    job = stage.foreman.submit("job", limit=0.1)
    tools.until(lambda: len(stage.holders("job")) == 2, "the job given again", SECONDS)
    with pytest.raises(WorkerDiedError):
        job.result(SECONDS)


def test_an_error_is_handed_over_and_a_cluster_that_is_gone_ends_everything(stage: Stage, tools: Any) -> None:
    wrong = stage.foreman.submit("wrong", limit=SECONDS)
    tools.until(lambda: stage.holders("wrong"), "the job given", SECONDS)
    stage.holders("wrong")[0].given[0][1].future().set_result((False, OSError(28, "No space")))
    with pytest.raises(OSError, match="No space"):
        wrong.result(SECONDS)
    waiting = stage.foreman.submit("waiting", limit=SECONDS)
    stage.trouble = RuntimeError("no answer")
    for job in (waiting, stage.foreman.submit("later", limit=SECONDS)):
        with pytest.raises(EngineLostError, match="does not answer"):
            job.result(SECONDS)
    assert isinstance(stage.foreman.error, EngineLostError)
