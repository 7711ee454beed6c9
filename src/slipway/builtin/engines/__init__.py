"""The engines that ship: `openvino`, `llama` (they generate), `onnx` (embeds), `openai` (remote), `echo`, `replay`."""
