"""A small project that sorts messages, for tests that improve it: its file, and words that tell its labels."""

from __future__ import annotations

FILE = """\
slipway: 1
name: desk
task: classify
data:
  examples: [{path: rows.csv}]
  split: {train: 0.1, dev: 0.45, gate: 0.45}
candidates:
  probe: {tune: {probe: {strength: 16}}}
evaluate: {metrics: [accuracy]}
gate: {accuracy: {min: 0.2, confidence: point}}
serve: {port: 0}
improve: {most: 3}
"""
WORDS = {
    "billing": ["invoice", "charge", "refund", "payment", "fee", "receipt"],
    "delivery": ["parcel", "courier", "late", "tracking", "box", "driver"],
    "login": ["password", "account", "locked", "code", "sign", "token"],
}
