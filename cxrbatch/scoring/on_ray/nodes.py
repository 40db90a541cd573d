"""The machines of the cluster: which there are, and whether they are like this one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, NodeDiedError, RayError, TaskUnschedulableError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cxrbatch.scoring.engine import EngineUnavailableError, Surroundings
from cxrbatch.scoring.on_ray.facts import Facts, differences, lay_probe, look_around, versions

_log = logging.getLogger("cxrbatch")

EXAMINATION_SECONDS = 120.0
"""Seconds within which a node must have answered: Python starts there, and hashes the bundle."""

_GONE = ["went away while it was looked at"]
"""Ray counts a machine that lost its power among the living for a while (10 s and more were seen)."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster, with the processors and GPUs that Ray may use of it."""

    id: str
    name: str
    cpus: int
    gpus: int


class Nodes:
    """The machines that may work for this run; one that joins later is examined when it is first seen."""

    def __init__(self, around: Surroundings) -> None:
        """Examine every machine. One that goes away meanwhile is none of them.

        Raises:
            EngineUnavailableError: one is not like this one, or there is none; one message names them all.
        """
        self._probe = lay_probe(around)
        self._ours = Facts(versions(), around.bundle.sha256)
        self._verdicts: dict[str, list[str]] = {}
        found = listed()
        self._examine(found)
        found = [node for node in found if self._verdicts[node.id] != _GONE]
        wrong = [
            f"{node.name} {'; '.join(self._verdicts[node.id])}" for node in found if self._verdicts[node.id]
        ]
        if wrong:
            self.close()
            raise EngineUnavailableError(
                f"{len(wrong)} of {len(found)} nodes cannot work for this run: node {'. Node '.join(wrong)}. "
                "Mend that, or take them out of the cluster."
            )
        if not found:
            self.close()
            raise EngineUnavailableError("The Ray cluster has no node with a processor to work with.")

    def current(self) -> list[Node]:
        """The machines that are there now and are fit to work."""
        found = listed()
        new = [node for node in found if node.id not in self._verdicts]
        self._examine(new)
        for node in new:
            if self._verdicts[node.id]:
                _log.warning("Node %s is left out: it %s.", node.name, "; ".join(self._verdicts[node.id]))
            else:
                _log.info("Node %s has joined.", node.name)
        return [node for node in found if not self._verdicts[node.id]]

    def close(self) -> None:
        self._probe.file.unlink(missing_ok=True)

    def _examine(self, nodes: list[Node]) -> None:
        task = ray.remote(look_around)
        answers = {
            node.id: task.options(num_cpus=0, max_retries=0, scheduling_strategy=on_node(node.id)).remote(
                self._probe
            )
            for node in nodes
        }
        for node in nodes:
            self._verdicts[node.id] = self._verdict(answers[node.id])

    def _verdict(self, answer: Any) -> list[str]:
        try:
            return differences(self._ours, ray.get(answer, timeout=EXAMINATION_SECONDS))
        except GetTimeoutError:
            return [f"did not answer within {EXAMINATION_SECONDS:g} s"]
        except (NodeDiedError, TaskUnschedulableError):
            return _GONE
        except (RayError, ImportError, AttributeError) as error:
            # Ray's own text quotes a whole traceback: its kind says enough.
            cause = getattr(error, "cause", None) or error
            return [f"cannot run this cxrbatch ({type(cause).__name__}): install the same version there"]


def listed() -> list[Node]:
    """Every machine that is alive and has processors for tasks."""
    nodes = []
    for entry in ray.nodes():
        cpus = int(entry["Resources"].get("CPU", 0))
        if entry["Alive"] and cpus:
            gpus = int(entry["Resources"].get("GPU", 0))
            nodes.append(Node(entry["NodeID"], entry["NodeName"], cpus, gpus))
    return sorted(nodes, key=lambda node: (node.name, node.id))


def is_alive(node_id: str) -> bool:
    return any(entry["NodeID"] == node_id and entry["Alive"] for entry in ray.nodes())


def on_node(node_id: str) -> NodeAffinitySchedulingStrategy:
    """Ray's word for: there and nowhere else."""
    return NodeAffinitySchedulingStrategy(node_id=node_id, soft=False)
