"""Slipway: from documents and examples to a measured, gated, monitored LLM service. The public verbs are in `api`."""

import os

__version__ = "0.1.0"

# Nothing phones home. ONNX Runtime (from 1.29 on) and the Hugging Face libraries report to servers of their makers
# unless these are set before they are loaded; a user who wants their reports sets another value.
for _switch in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
    os.environ.setdefault(_switch, "1")
