"""On what a network is trained: one device, or several that share every batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf


def choose_strategy(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """A `MirroredStrategy` when there is more than one GPU, TensorFlow's default otherwise.

    `devices` names them ("CPU:0", ...) instead: for tests on logical devices. Build the network in the
    strategy's ``scope()``.
    """
    if devices is None:
        devices = [f"GPU:{i}" for i in range(len(tf.config.list_logical_devices("GPU")))]
    if len(devices) > 1:
        return tf.distribute.MirroredStrategy(list(devices))
    return tf.distribute.get_strategy()


def logical_cpu_devices(count: int) -> list[str]:
    """Divide the CPU into `count` devices, and name them; before TensorFlow's first computation.

    Raises RuntimeError when it has computed already.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    return [f"CPU:{i}" for i in range(count)]


def precision_policy(mixed_precision: Literal["auto", "on", "off"]) -> str:
    """The Keras dtype policy: ``auto`` is mixed precision on GPUs and float32 on CPUs.

    CPUs compute bfloat16 in hardware and emulate float16; GPUs have both, float16 is finer.
    """
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    if mixed_precision == "off" or (mixed_precision == "auto" and not has_gpu):
        return "float32"
    return "mixed_float16" if has_gpu else "mixed_bfloat16"


def global_batch(batch_size: int, strategy: tf.distribute.Strategy) -> int:
    """`batch_size`, films a step over all devices, rounded up so that each device gets equally many."""
    replicas = int(strategy.num_replicas_in_sync)
    return -(-batch_size // replicas) * replicas
