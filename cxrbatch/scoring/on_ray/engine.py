"""The engine of many machines: see `cxrbatch.scoring.engine.Engine`."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from cxrbatch.bundles.bundle import Bundle
from cxrbatch.scoring.engine import EngineLostError, EngineUnavailableError, Scorer, ScoringPlan, Surroundings
from cxrbatch.scoring.on_ray.crew import Crew, Place
from cxrbatch.scoring.on_ray.facts import portable_model
from cxrbatch.scoring.on_ray.foreman import Foreman
from cxrbatch.scoring.on_ray.joining import Connection
from cxrbatch.scoring.on_ray.nodes import Node, Nodes, on_node
from cxrbatch.scoring.on_ray.scorer import AT_ONCE, RayScorer
from cxrbatch.scoring.on_ray.stations import House, ScoringStation, TaskStation
from cxrbatch.scoring.on_ray.work import Work

import ray  # isort: skip (joining.py says first that it is to tell nobody)

_log = logging.getLogger("cxrbatch")

MOST_CPUS_PER_SCORER = 4
"""Unless it is told otherwise: one process reads and stores the films of all its passes, one by one."""
START_SECONDS = 600.0
"""How long a run waits for free processors on a cluster."""
LATE_SECONDS = 60.0
"""How long it waits for the other scorers when the first is there: what they compute with is recorded."""


class RayEngine:
    """A cluster's nodes as a run's processes."""

    def __init__(
        self, address: str | None, workers: int | None, cpus_per_scorer: int | None, around: Surroundings
    ) -> None:
        self._workers = workers
        self._cpus_per_scorer = cpus_per_scorer
        self._stopping = around.stopping
        self._work = Work()
        self._connection = Connection(address)
        try:
            self._nodes = Nodes(around)
        except BaseException:
            self._connection.close()
            raise
        self._address = address or "this machine"
        self._house = House(_umask(), around.preload)

    def pool(
        self, *, initializer: Callable[..., object] | None = None, max_tasks: int | None = None
    ) -> TaskPool:
        return TaskPool(self._nodes, self._house, self._workers, initializer, max_tasks, self._work)

    def scorer(self, bundle: Bundle, plan: ScoringPlan) -> Scorer:
        del bundle  # every node opens its own, which was found to be the same
        nodes = self._nodes.current()
        cpus = self._cpus_per_scorer or max(plan.threads or 1, _usual_cpus(nodes))
        if not any(_scorers_on(node, cpus) for node in nodes):
            most = max((node.cpus for node in nodes), default=0)
            raise EngineUnavailableError(
                f"No node has {cpus} processors for a scorer; the largest has {most}. Give fewer with "
                "--cpus-per-scorer or --threads."
            )
        plan = replace(plan, model=portable_model(plan.model), processors=cpus)
        crew = _ScoringCrew(self._nodes, self._house, plan, cpus, self._workers, self._work)
        foreman = Foreman(crew.as_crew())
        try:
            arithmetic = _wait_for_scorers(foreman, crew, self._stopping)
        except BaseException:
            foreman.close()
            raise
        return RayScorer(foreman, arithmetic, self._work, plan.decode_timeout, self._stopping)

    @property
    def status(self) -> str:
        return self._work.status

    def account(self) -> dict[str, Any]:
        return {"name": "ray", "address": self._address, **self._work.account()}

    def close(self) -> None:
        self._nodes.close()
        self._connection.close()


class TaskPool:
    """See `cxrbatch.workers.Executor`: tasks go to pools of processes on every node."""

    def __init__(
        self,
        nodes: Nodes,
        house: House,
        workers: int | None,
        initializer: Callable[..., object] | None,
        max_tasks: int | None,
        work: Work,
    ) -> None:
        station = ray.remote(TaskStation)
        sizes = {node.id: workers or node.cpus for node in nodes.current()}
        most = max(sizes.values(), default=1)
        at_once = most + 1  # one lies ready: no process waits for this one's word
        self._foreman: Foreman | None = None

        def start(place: Place) -> Any:
            size = sizes.setdefault(place.node_id, most)
            # No processor is claimed: as on one machine, the system shares them among all there is to do.
            options = {
                "num_cpus": 0,
                "max_concurrency": at_once + 1,
                "scheduling_strategy": on_node(place.node_id),
            }
            return station.options(**options).remote(house, size, initializer, max_tasks)

        self._open = lambda: Foreman(
            Crew(
                start=start,
                places=lambda: [Place(node.id, node.name) for node in nodes.current()],
                at_once=at_once,
                welcome=lambda place, _: work.ready("reports", sizes[place.node_id] + 1),
                done=lambda place, _, seconds: work.task(place.node, "reports", seconds),
                lost=lambda place: work.lost(place.node),
            )
        )

    def submit(self, function: Callable[..., Any], *arguments: Any, timeout: float) -> Future:
        if self._foreman is None:
            self._foreman = self._open()
        return self._foreman.submit(function, arguments, timeout, limit=2 * timeout + 300.0)

    def close(self) -> None:
        if self._foreman is not None:
            self._foreman.close()


class _ScoringCrew:
    """Scorers on every node that has the processors, or a GPU, for them."""

    def __init__(
        self, nodes: Nodes, house: House, plan: ScoringPlan, cpus: int, workers: int | None, work: Work
    ) -> None:
        self._nodes = nodes
        self._setting = (house, plan, workers or cpus)
        self._cpus = cpus
        self._work = work
        self._station = ray.remote(ScoringStation)
        self._gpu_nodes = {node.id for node in nodes.current() if node.gpus}
        self.arithmetic: dict[str, Any] | None = None
        self.runtimes: set[str] = set()
        self.is_settled = False

    def as_crew(self) -> Crew:
        return Crew(
            start=self._start,
            places=self._places,
            at_once=AT_ONCE,
            welcome=self._welcome,
            done=lambda place, scored, seconds: self._work.scored(place.node, scored, seconds),
            lost=lambda place: self._work.lost(place.node),
        )

    def _places(self) -> list[Place]:
        return [
            Place(node.id, node.name, number)
            for node in self._nodes.current()
            for number in range(_scorers_on(node, self._cpus))
        ]

    def _start(self, place: Place) -> Any:
        options = {
            "num_cpus": self._cpus,
            "num_gpus": int(place.node_id in self._gpu_nodes),
            "max_concurrency": AT_ONCE + 1,
            "scheduling_strategy": on_node(place.node_id),
        }
        return self._station.options(**options).remote(*self._setting)

    def _welcome(self, place: Place, arithmetic: dict[str, Any]) -> None:
        """Scores must not depend on where a film is scored, but for the kind of processor."""
        others = {key: value for key, value in arithmetic.items() if key != "runtime"}
        if self.arithmetic is None:
            self.arithmetic = others
        if others != self.arithmetic:
            raise EngineLostError(
                f"Node {place.node} would compute with {others}, others with {self.arithmetic}."
            )
        if self.is_settled and arithmetic["runtime"] not in self.runtimes:
            raise EngineLostError(f"Node {place.node} came late and computes with {arithmetic['runtime']}.")
        self.runtimes.add(str(arithmetic["runtime"]))
        self._work.ready("scoring", 1)


def _wait_for_scorers(foreman: Foreman, crew: _ScoringCrew, stopping: Callable[[], bool]) -> dict[str, Any]:
    """The arithmetic of all scorers, when they are there."""
    begun = time.monotonic()
    first: float | None = None
    is_told = False
    while True:
        if foreman.error is not None:
            raise foreman.error
        if stopping():
            raise EngineLostError("Stopped before there was a scorer.")
        now = time.monotonic()
        if foreman.ready:
            first = first or now
            if not foreman.starting or now - first > LATE_SECONDS:
                break
        elif now - begun > START_SECONDS:
            raise EngineLostError(
                f"No scorer could be started within {START_SECONDS:g} s: are the cluster's processors taken? "
                "Start the same command again when they are free: it goes on."
            )
        elif now - begun > LATE_SECONDS and not is_told:
            is_told = True
            _log.info("Waiting for free processors on the cluster.")
        time.sleep(0.05)
    crew.is_settled = True
    if len(crew.runtimes) > 1:
        _log.warning(
            "The nodes compute with %d different processors: scores may differ in their last bits (1e-5) by "
            "where a film was scored.",
            len(crew.runtimes),
        )
    return {"runtime": " + ".join(sorted(crew.runtimes)), **(crew.arithmetic or {})}


def _usual_cpus(nodes: list[Node]) -> int:
    """Processors of a scorer: where there are GPUs, a GPU's share of its node's."""
    shares = [max(1, node.cpus // node.gpus) for node in nodes if node.gpus]
    if shares:
        return min(shares)
    return min(MOST_CPUS_PER_SCORER, min((node.cpus for node in nodes), default=1))


def _scorers_on(node: Node, cpus: int) -> int:
    room = node.cpus // cpus
    return min(room, node.gpus) if node.gpus else room


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
