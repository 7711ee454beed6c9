"""Answer one input with one candidate: retrieve, prompt, complete. `evaluate` and `serve` both come through here."""
