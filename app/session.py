"""The one place where a network is opened: the same options for spotter, export, parity checks and self-test."""

from pathlib import Path

import onnxruntime

from .errors import ModelError

_FATAL_ONLY = 4  # what cannot be loaded is said once, by the error


def open_session(source: bytes | str | Path) -> onnxruntime.InferenceSession:
    """A session on an ONNX network (its bytes or its path): integer arithmetic, one thread, CPU.

    Raises ModelError where onnxruntime cannot load it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Without it, x86 without VNNI runs int8 convolutions in float.
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    options.enable_cpu_mem_arena = False
    model = source if isinstance(source, bytes) else str(source)
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise ModelError(f"cannot be loaded as an ONNX network: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """The message of an error of onnxruntime's in one line."""
    return " ".join(str(error).split())[:200]
