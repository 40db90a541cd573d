"""What a run calls files, patients and studies: by their own names, or by pseudonyms.

Everything passes here on its way from intake into the ledger, so that nothing behind it (tables, reports,
the audit log, file names) ever holds a real name under ``--deidentify``. Real paths come from the walk of
this very run, or from the crosswalk; the run folder does not hold them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cxrbatch.deidentification.crosswalk import Crosswalk
from cxrbatch.deidentification.free_text import withheld
from cxrbatch.deidentification.header import pseudonymous
from cxrbatch.deidentification.pseudonyms import Pseudonyms
from cxrbatch.deidentification.site_key import require_outside, site_key
from cxrbatch.intake.records import Candidate, SourceFile, Study
from cxrbatch.intake.studies import percent_decode, percent_encode
from cxrbatch.ledger.changes import file_digest
from cxrbatch.request import Deidentify, RequestError


class Names:
    """Everything by its own name."""

    leaves_out_burned_in = False

    def settings(self) -> dict[str, object]:
        """What a resumed run must not change."""
        return {}

    def input(self, path: str) -> str:
        """One of the inputs on the command line."""
        return path

    def source(self, source: SourceFile) -> SourceFile:
        """A file as the ledger knows it."""
        return source

    def real_path(self, path: str) -> str:
        """Where the file lies that the ledger knows by `path`."""
        return path

    def key(self, named: bytes) -> str:
        """Hex digits that stand for a study in names of folders."""
        return hashlib.sha256(named).hexdigest()

    def candidate(self, candidate: Candidate) -> Candidate:
        return candidate

    def study_uid(self, uid: str) -> str:
        return uid

    def digest(self, sha256: str) -> str:
        """The digest of a file or of its pixels, as the ledger keeps it."""
        return sha256

    def file_digest(self, path: str) -> str:
        """`digest` of the file that the ledger knows by `path`.

        Raises:
            OSError: it cannot be read.
        """
        return self.digest(file_digest(self.real_path(path)))

    def sentence(self, text: str) -> str:
        """A note, a detail of rejected.csv, the text of an error."""
        return text

    def remember(self, source: SourceFile) -> None:
        """Take note of a file's name, so that it can be looked up."""

    def remember_study(self, study: Study) -> None:
        """Take note of what a study's key stands for."""

    def commit(self) -> None:
        """Before the ledger is: what it names can be looked up."""

    def close(self) -> None:
        pass


class KeyedNames(Names):
    """Everything by pseudonyms under the site key."""

    def __init__(self, asked: Deidentify, run: Path) -> None:
        """Read (or make) the key and open (or make) the crosswalk.

        Raises:
            RequestError: either cannot be used, or lies in the run folder.
        """
        key = site_key(asked.key_file, run=run)
        crosswalk = asked.crosswalk
        if crosswalk is None:
            if key.file is None:
                raise RequestError(
                    "--deidentify with a key from the environment: name [patient_data] crosswalk."
                )
            crosswalk = key.file.with_name(f"{key.file.name}.crosswalk.db")
        require_outside(crosswalk, run, "crosswalk")
        self.leaves_out_burned_in = not asked.allow_burned_in
        self._fingerprint = key.fingerprint
        self._pseudonyms = Pseudonyms(key.secret)
        self._crosswalk = Crosswalk(crosswalk, key.fingerprint)
        self._paths: dict[str, str] = {}

    def settings(self) -> dict[str, object]:
        return {"deidentified_with_key": self._fingerprint, "burned_in_left_out": self.leaves_out_burned_in}

    def input(self, path: str) -> str:
        shown = f"input-{self._pseudonyms.hexadecimal('input', path)[:24]}"
        self._crosswalk.add("input", shown, percent_encode(path))
        return shown

    def source(self, source: SourceFile) -> SourceFile:
        """Time and inode are keyed as well: only whether they change matters, and a file's time is a date."""
        path = source.path
        shown = f"file-{self._pseudonyms.hexadecimal('file', path)[:24]}"
        self._paths[shown] = path
        return SourceFile(
            shown,
            source.size,
            self._pseudonyms.number("time", f"{shown} {source.mtime_ns}"),
            self._pseudonyms.number("inode", f"{shown} {source.inode}"),
        )

    def real_path(self, path: str) -> str:
        """Of a file that is gone since an earlier start, the path that it then had."""
        if path in self._paths:
            return self._paths[path]
        known = self._crosswalk.value("file", path)
        return path if known is None else percent_decode(known)

    def real(self, kind: str, pseudonym: str) -> str:
        """What a pseudonym in the ledger stands for; blank where the crosswalk does not know it."""
        return (self._crosswalk.value(kind, pseudonym) or "") if pseudonym else ""

    def unmatched(self, label: str) -> str:
        """The id of a label that belongs to no image."""
        return f"label-{self._pseudonyms.hexadecimal('label', label)[:24]}"

    def key(self, named: bytes) -> str:
        return self._pseudonyms.hexadecimal("study", named)

    def candidate(self, candidate: Candidate) -> Candidate:
        path = candidate.source.path
        header = pseudonymous(candidate.header, path, self._pseudonyms, self._crosswalk.add)
        return Candidate(self.source(candidate.source), header)

    def study_uid(self, uid: str) -> str:
        return self._pseudonyms.uid(uid)

    def digest(self, sha256: str) -> str:
        return self._pseudonyms.hexadecimal("content", sha256) if sha256 else ""

    def sentence(self, text: str) -> str:
        return withheld(text)

    def remember(self, source: SourceFile) -> None:
        self._crosswalk.add("file", self.source(source).path, percent_encode(source.path))

    def remember_study(self, study: Study) -> None:
        self._crosswalk.add("study_key", study.key, study.uid or percent_encode(study.images[0].source.path))

    def commit(self) -> None:
        self._crosswalk.commit()

    def close(self) -> None:
        self._crosswalk.close()


def open_names(asked: Deidentify | None, run: Path) -> Names:
    """The names of a run, as asked for.

    Raises:
        RequestError: the key or the crosswalk cannot be used.
    """
    return Names() if asked is None else KeyedNames(asked, run)
