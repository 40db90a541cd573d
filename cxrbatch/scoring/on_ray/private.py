"""What surrounds a Ray of this machine: a folder that nobody else may look into, and its keeper."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxrbatch.scoring.on_ray.keeper import Keeper

_PREFIX = "cxrbatch-ray-"
_RAYS_OWN = "r"
"""Within the folder, which is its user's alone (mode 0700): Ray opens its own to everybody (mode 0777)."""
_LONGEST_TEMPORARY = 107 - len(
    f"/{_PREFIX}12345678/{_RAYS_OWN}/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store"
)
"""Bytes of the path of the folder for temporary files: the system limits the paths of Ray's sockets."""


class PrivateRay:
    """The surroundings of one Ray, from before it is started until nothing of it is left."""

    def __init__(self) -> None:
        """Make the folder and start the keeper.

        Raises:
            OSError: there is no room for one of them.
        """
        usual = tempfile.gettempdir()
        is_short = len(os.fsencode(usual)) <= _LONGEST_TEMPORARY
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=usual if is_short else "/tmp"))
        try:
            self._keeper = Keeper(str(self._folder))
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._variables = dict(self._keeper.variables)
        if is_short:  # what processes that are killed leave behind goes with the folder
            self._variables["TMPDIR"] = str(self._folder)

    def for_ray(self) -> str:
        """Where Ray may put its sockets and logs."""
        own = self._folder / _RAYS_OWN
        own.mkdir(exist_ok=True)
        return str(own)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What is started within the block belongs to this Ray."""
        before = {name: os.environ.get(name) for name in self._variables}
        os.environ.update(self._variables)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value

    def close(self) -> None:
        """When this returns, no process of this Ray is left, and its folder is gone."""
        self._keeper.let_go()
        shutil.rmtree(self._folder, ignore_errors=True)  # somebody may have ended the keeper
