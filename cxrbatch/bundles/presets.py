"""What is known of public weights that users bring: findings in order, input, architecture.

Facts come from the projects' own code. Both train on images resized without keeping their aspect ratio
(`Fit.STRETCH`).
"""

from __future__ import annotations

from dataclasses import dataclass

from cxrbatch.pipeline.input_spec import Fit, InputSpec, Scaling


@dataclass(frozen=True, slots=True)
class Preset:
    """Everything that a weights file does not say of itself. `description` names its source."""

    description: str
    architecture: str
    input: InputSpec
    findings: tuple[str, ...]


PRESETS = {
    "coursera-nih": Preset(
        description="pretrained_model.h5 of the course AI for Medical Diagnosis (deeplearning.ai)",
        architecture="densenet121",
        # Its generator standardises each image by its own mean and deviation (samplewise).
        input=InputSpec(height=320, width=320, channels=3, scaling=Scaling.STANDARDISE, fit=Fit.STRETCH),
        findings=(
            "Cardiomegaly",
            "Emphysema",
            "Effusion",
            "Hernia",
            "Infiltration",
            "Mass",
            "Nodule",
            "Atelectasis",
            "Pneumothorax",
            "Pleural_Thickening",
            "Pneumonia",
            "Fibrosis",
            "Edema",
            "Consolidation",
        ),
    ),
    "chexnet-keras": Preset(
        description="weights of the project CheXNet-Keras (brucechou1983)",
        architecture="densenet121",
        input=InputSpec(height=224, width=224, channels=3, scaling=Scaling.IMAGENET, fit=Fit.STRETCH),
        findings=(
            "Atelectasis",
            "Cardiomegaly",
            "Effusion",
            "Infiltration",
            "Mass",
            "Nodule",
            "Pneumonia",
            "Pneumothorax",
            "Consolidation",
            "Edema",
            "Emphysema",
            "Fibrosis",
            "Pleural_Thickening",
            "Hernia",
        ),
    ),
}
"""By the name that ``cxrbatch model add --preset`` takes."""
