"""A check in a process of its own: a native library that crashes or hangs is a finding, not the end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from cxrbatch.doctor.outcome import Outcome, Subject, problem

Check = Callable[[Subject], Outcome]


def guarded(check: Check, subject: Subject) -> Outcome:
    """Run `check` here; an exception becomes a problem with its first line."""
    try:
        return check(subject)
    except Exception as error:
        return _unexpected(error)


def isolated(check: Check, subject: Subject, seconds: float = 120.0) -> Outcome:
    """Run `check`, a function of a module, in a new process, and stop it after `seconds`.

    What it or the libraries print goes to a file; its last line is quoted if the process dies.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix="cxrbatch-doctor-") as folder:
        printed = Path(folder) / "printed.txt"
        process = context.Process(target=_child, args=(sender, str(printed), check, subject), daemon=True)
        process.start()
        sender.close()
        try:
            if not receiver.poll(seconds):
                process.kill()
                return problem(
                    f"did not finish within {seconds:.0f} s", "Try again while the machine is idle."
                )
            outcome: Outcome = receiver.recv()
            return outcome
        except EOFError:
            process.join()
            return _died(process.exitcode or 0, printed)
        finally:
            receiver.close()
            process.join()


def _child(sender: Connection, printed: str, check: Check, subject: Subject) -> None:
    descriptor = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sender.send(guarded(check, subject))


def _died(code: int, printed: Path) -> Outcome:
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    lines = printed.read_text(errors="replace").strip().splitlines() if printed.exists() else []
    advice = "A native library crashed: reinstall the packages from requirements/runtime.txt."
    if code == -signal.SIGILL:
        advice = "This processor lacks instructions (AVX) that a library was built for: use another machine."
    return problem(f"the process died ({how})" + (f": {lines[-1][:200]}" if lines else ""), advice)


def _unexpected(error: Exception) -> Outcome:
    first = (str(error).strip().splitlines() or [""])[0]
    return problem(
        f"{type(error).__name__}: {first[:300]}" if first else type(error).__name__,
        "This check itself failed: reinstall the packages, then report it with `cxrbatch doctor --json`.",
    )
