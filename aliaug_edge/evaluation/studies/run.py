"""`ali-aug study NAME`: from a name and settings to a folder with a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aliaug_edge import lock
from aliaug_edge.errors import AliAugError
from aliaug_edge.evaluation.studies.ablations import ablations
from aliaug_edge.evaluation.studies.detecting import data_size, real_synthetic
from aliaug_edge.evaluation.studies.lora import lora
from aliaug_edge.evaluation.studies.mask_size import mask_size
from aliaug_edge.evaluation.studies.report import Document, document_of, write_report
from aliaug_edge.evaluation.studies.steps import steps
from aliaug_edge.evaluation.studies.study import Parts, Result, Say, StudySettings, claim

STUDIES: dict[str, Callable[[StudySettings, Parts, Say], Result]] = {
    "mask-size": mask_size,
    "steps": steps,
    "lora": lora,
    "ablations": ablations,
    "data-size": data_size,
    "real-synthetic": real_synthetic,
}
OF_ONE_RUN = ("mask-size", "steps")


def run_study(name: str, settings: StudySettings, out: Path, say: Say) -> Document:
    """Make the study, or what is missing of it, and write its report into `out`.

    Raises:
        AliAugError: no such study, a run was given to one that trains its own, or `out` holds
            another study or is in use; and whatever the study raises.
    """
    if name not in STUDIES:
        raise AliAugError(f"unknown study {name!r}: expected one of {', '.join(STUDIES)}")
    if settings.run is not None and name not in OF_ONE_RUN:
        raise AliAugError(
            f"study {name} trains runs of its own; drop --run, which is for "
            f"{' and '.join(OF_ONE_RUN)}"
        )
    with lock.exclusive(out):
        parts = claim(out, name, settings)
        document = document_of(STUDIES[name](settings, parts, say), settings)
        write_report(document, out)
    return document
