"""Which checks there are, in the order in which they are told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from cxrbatch.doctor.checks import (
    clock,
    codecs,
    configuration,
    encoding,
    fonts,
    gpu,
    memory,
    model,
    output_folder,
    packages,
    pdf,
    shipped_files,
)
from cxrbatch.doctor.isolation import Check, guarded, isolated
from cxrbatch.doctor.outcome import Outcome, Subject


@dataclass(frozen=True, slots=True)
class NamedCheck:
    """`own_process`: it calls native libraries, which may crash, or hold much memory."""

    name: str
    check: Check
    own_process: bool = False


CHECKS = (
    NamedCheck("packages", packages.check),
    NamedCheck("shipped files", shipped_files.check),
    NamedCheck("configuration", configuration.check),
    NamedCheck("output folder", output_folder.check),
    NamedCheck("memory", memory.check),
    NamedCheck("clock", clock.check),
    NamedCheck("text encoding", encoding.check),
    NamedCheck("codecs", codecs.check, own_process=True),
    NamedCheck("fonts", fonts.check, own_process=True),
    NamedCheck("pdf", pdf.check, own_process=True),
    NamedCheck("gpu", gpu.check, own_process=True),
    NamedCheck("model (openvino)", model.check_openvino, own_process=True),
    NamedCheck("model (keras)", model.check_keras, own_process=True),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome, and how long it took."""

    check: str
    outcome: Outcome
    seconds: float


def examine(subject: Subject, checks: tuple[NamedCheck, ...] = CHECKS) -> Iterator[Finding]:
    """Run every check, one after the other; none of them can stop the others."""
    for named in checks:
        start = time.perf_counter()
        run = isolated if named.own_process else guarded
        outcome = run(named.check, subject)
        yield Finding(named.name, outcome, time.perf_counter() - start)
