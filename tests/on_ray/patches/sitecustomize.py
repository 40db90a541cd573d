"""Misbehaviour, asked for by a film or by the environment. Python imports this at its start.

A film whose file says ``misbehave=decoder`` kills the process that decodes it, one with ``misbehave=scorer``
the process that this one decodes for. ``CXRBATCH_TEST_SLOWLY`` is how many seconds each film takes longer,
and ``CXRBATCH_TEST_VERSION`` is what this machine says TensorFlow's version is.
"""

import importlib.abc
import importlib.metadata
import importlib.util
import multiprocessing
import os
import signal
import sys
import time

SLOWLY = float(os.environ.get("CXRBATCH_TEST_SLOWLY", "0"))
VERSION = os.environ.get("CXRBATCH_TEST_VERSION")


def misbehave(decoding) -> None:
    """Put ourselves between the decoder and its file."""
    real = decoding.read_radiograph

    def read(data, *arguments):
        time.sleep(SLOWLY)
        if b"misbehave\0decoder" in data:
            os.kill(os.getpid(), signal.SIGSEGV)
        if b"misbehave\0scorer" in data:
            os.kill(multiprocessing.parent_process().pid, signal.SIGKILL)
            time.sleep(60)
        return real(data, *arguments)

    decoding.read_radiograph = read


class AfterImport(importlib.abc.MetaPathFinder):
    """Calls `misbehave` when the module of decoding has been imported."""

    def find_spec(self, name, path, target=None):
        if name != "cxrbatch.pipeline.decoding":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def then_misbehave(module) -> None:
            execute(module)
            misbehave(module)

        spec.loader.exec_module = then_misbehave
        return spec


sys.meta_path.insert(0, AfterImport())

if VERSION:
    real_version = importlib.metadata.version
    importlib.metadata.version = lambda name: VERSION if name == "tensorflow" else real_version(name)
