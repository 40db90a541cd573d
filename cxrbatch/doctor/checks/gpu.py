"""Whether TensorFlow loads, and the GPU it sees. No GPU is no problem: OpenVINO computes on the processor."""

from __future__ import annotations

from pathlib import Path

from cxrbatch.doctor.outcome import Outcome, Subject, ok, warning

NVIDIA = Path("/dev/nvidiactl")
"""There where NVIDIA's driver is loaded."""


def check(subject: Subject) -> Outcome:
    """A GPU with a driver is one that TensorFlow can use."""
    import tensorflow as tf

    names = [_name(tf, device) for device in tf.config.list_physical_devices("GPU")]
    if names:
        return ok(f"{', '.join(names)} (TensorFlow {tf.__version__})")
    if NVIDIA.exists():
        return warning(
            "there is an NVIDIA driver, but TensorFlow sees no GPU: scoring runs on the processor",
            "Install the CUDA libraries: pip install 'cxrbatch[gpu]'; check the driver with nvidia-smi.",
        )
    return ok(f"none: scoring runs on the processor (TensorFlow {tf.__version__})")


def _name(tf: object, device: object) -> str:
    details = tf.config.experimental.get_device_details(device)  # type: ignore[attr-defined]
    return str(details.get("device_name", "GPU"))
