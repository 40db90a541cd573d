"""``cxrbatch.toml``: what a site sets once. The command line overrides it.

Every error names the file, the line and the key, since the reader has an editor open at that file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, PrivateAttr, ValidationError

from cxrbatch.pipeline.decoder_pool import DECODE_TIMEOUT
from cxrbatch.reporting.content import DEFAULT_ACUTE, PageSize, ReportSettings
from cxrbatch.reporting.site_templates import problem_of
from cxrbatch.training.settings import TrainSettings

_IN_TOML = {
    "model_type": "must be a table: write the section's name in [brackets] and its keys below",
    "tuple_type": 'must be a list, such as ["Effusion", "Edema"]',
    "path_type": "must be a path in quotes",
    "string_type": "must be text in quotes",
    "finite_number": "must be a finite number",
}
"""What pydantic says in Python's terms, in those of somebody who edits a TOML file."""


class ConfigError(Exception):
    """The configuration cannot be used; the message names file, line and key."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hospital(_Section):
    """``[hospital]``: who signs the pages. `logo` is a PNG or JPEG, relative to the configuration file."""

    name: str = ""
    department: str = ""
    logo: Path | None = None


class Report(_Section):
    """``[report]``: what pages look like. `templates` is a folder that overrides ours file by file."""

    page_size: PageSize = PageSize.A4
    templates: Path | None = None
    acute: tuple[str, ...] = DEFAULT_ACUTE
    findings: str = "flagged"
    formats: Literal["html,pdf", "html", "pdf", "none"] = "html,pdf"


class Score(_Section):
    """``[score]``: defaults for the options of `cxrbatch score`."""

    model: str = "cxr-lite"
    runtime: Literal["auto", "keras", "openvino"] = "auto"
    batch_size: PositiveInt | None = None
    threads: PositiveInt | None = None
    workers: PositiveInt | None = None
    mixed_precision: bool = False
    group_by: Literal["study", "folder"] = "study"
    settle: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    decode_timeout: Annotated[float, Field(ge=1.0)] = DECODE_TIMEOUT
    reject_unusual: bool = False
    prevalence: dict[str, Annotated[float, Field(gt=0.0, lt=1.0)]] = {}


class PatientData(_Section):
    """``[patient_data]``: `key_file` and `crosswalk` are for ``--deidentify``, relative to the configuration
    file; both are made where they are not there. `umask` (octal) is what others may not do with outputs."""

    key_file: Path | None = None
    crosswalk: Path | None = None
    umask: Annotated[str, Field(pattern=r"^0{1,2}[0-7]{2}$")] = "077"


class SiteConfig(_Section):
    """The whole file; every section and every key may be left out."""

    hospital: Hospital = Hospital()
    report: Report = Report()
    score: Score = Score()
    patient_data: PatientData = PatientData()
    train: TrainSettings = TrainSettings()

    _places: dict[str, str] = PrivateAttr(default_factory=dict)
    """Where keys of [report] stand: that a finding's name is wrong shows only once there is a model."""

    def report_settings(
        self,
        *,
        findings: str | None = None,
        formats: str | None = None,
        begun_with: Mapping[str, Any] | None = None,
    ) -> ReportSettings:
        """How this site wants its reports, with what the command line says instead.

        `begun_with` are the settings in the run.json of a run that is rendered again: they stand where
        neither the command line nor the file says otherwise.
        """
        chosen = formats or self.report.formats
        acute, drawn = self.report.acute, findings or self.report.findings
        if begun_with is not None and "acute" not in self.report.model_fields_set:
            acute = tuple(begun_with["acute"])
        if begun_with is not None and not findings and "findings" not in self.report.model_fields_set:
            drawn = begun_with["report_findings"]
        return ReportSettings(
            hospital=self.hospital.name,
            department=self.hospital.department,
            logo=self.hospital.logo,
            page_size=self.report.page_size,
            templates=self.report.templates,
            acute=acute,
            findings=drawn,
            findings_from="--findings" if findings else self._places.get("findings", "--findings"),
            acute_from=self._places.get("acute", "report.acute"),
            html="html" in chosen,
            pdf="pdf" in chosen,
        )


def load_config(path: Path | None) -> SiteConfig:
    """Read `path`; without one, everything is at its default.

    Raises:
        ConfigError: the file is missing, no TOML, has an unknown key or a value that does not fit.
    """
    if path is None:
        return SiteConfig()
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 (byte {error.start}). Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is no valid TOML: {error}.") from error
    try:
        config = SiteConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(_first_problem(path, text, error)) from error
    for keys, value in _truths_for_numbers(SiteConfig, raw):
        where = f"{path}, line {_line_of(text, keys)}, key '{'.'.join(keys)}'"
        raise ConfigError(f"{where}: must be a number. Received: {str(value).lower()}.")
    anchored = _anchored(config, path, text)
    for key in {"findings", "acute"} & config.report.model_fields_set:
        anchored._places[key] = f"{path}, line {_line_of(text, ['report', key])}, key 'report.{key}'"
    return anchored


def _first_problem(path: Path, text: str, error: ValidationError) -> str:
    problem = error.errors()[0]
    keys = [str(part) for part in problem["loc"] if isinstance(part, str)]
    where = f"{path}, line {_line_of(text, keys)}, key '{'.'.join(keys)}'"
    if problem["type"] == "extra_forbidden":
        known = SiteConfig.model_fields
        for key in keys[:-1]:
            known = type(known[key].default).model_fields
        return f"{where}: is not known. Known here: {', '.join(known)}."
    says = _IN_TOML.get(problem["type"], problem["msg"])
    return f"{where}: {says}. Received: {problem['input']!r}."


def _truths_for_numbers(
    section: type[BaseModel], table: Mapping[str, Any]
) -> Iterator[tuple[list[str], bool]]:
    """Keys and values that Python, and with it pydantic, takes for 1 and 0: `threads = true`."""
    for key, value in table.items():
        wanted = section.model_fields[key].annotation
        if isinstance(value, bool) and _is_of_number(wanted):
            yield [key], value
        elif isinstance(value, dict) and isinstance(wanted, type) and issubclass(wanted, BaseModel):
            yield from (([key, *keys], truth) for keys, truth in _truths_for_numbers(wanted, value))


def _is_of_number(annotation: Any) -> bool:
    return annotation in (int, float) or any(map(_is_of_number, get_args(annotation)))


def _line_of(text: str, keys: list[str]) -> int:
    """The line of a key in TOML text: good enough for tables written as [section] and key = value."""
    section: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([^\]]+?)\s*\]", line)
        if header:
            section = header[1].split(".")
            if keys == section:
                return number
        key = re.match(r"""\s*["']?([\w.-]+)["']?\s*=""", line)
        if key and (place := [*section, *key[1].split(".")])[: len(keys)] == keys[: len(place)]:
            return number
    return 1


def _anchored(config: SiteConfig, path: Path, text: str) -> SiteConfig:
    """Paths in the file are relative to the file, and must be there."""
    folder = path.resolve().parent
    logo, templates = config.hospital.logo, config.report.templates
    if logo is not None:
        logo = folder / logo
        if not logo.is_file():
            line = _line_of(text, ["hospital", "logo"])
            raise ConfigError(f"{path}, line {line}, key 'hospital.logo': there is no file {logo}.")
        if not _is_picture(logo):
            line = _line_of(text, ["hospital", "logo"])
            raise ConfigError(f"{path}, line {line}, key 'hospital.logo': {logo} is no PNG or JPEG picture.")
    if templates is not None:
        templates = folder / templates
        if not templates.is_dir():
            line = _line_of(text, ["report", "templates"])
            raise ConfigError(f"{path}, line {line}, key 'report.templates': there is no folder {templates}.")
        if problem := problem_of(templates):
            line = _line_of(text, ["report", "templates"])
            raise ConfigError(f"{path}, line {line}, key 'report.templates': {problem}")
    ours = config.patient_data
    named = {"key_file": ours.key_file, "crosswalk": ours.crosswalk}
    kept = {name: folder / file for name, file in named.items() if file is not None}
    return config.model_copy(
        update={
            "patient_data": ours.model_copy(update=kept),
            "hospital": config.hospital.model_copy(update={"logo": logo}),
            "report": config.report.model_copy(update={"templates": templates}),
        }
    )


def _is_picture(path: Path) -> bool:
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            picture.load()
    except (OSError, SyntaxError, ValueError):  # what Pillow raises for files that are not what they seem
        return False
    return True
