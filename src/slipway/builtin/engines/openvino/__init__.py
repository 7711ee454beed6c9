"""OpenVINO GenAI: the fastest local engine on a CPU."""
