"""The engines that ship: `llama` (llama.cpp), `onnx` (encoders), `openai` (remote), `echo`, `replay` (tests)."""
