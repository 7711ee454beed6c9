"""The commands of two words, a module for each first word or two."""

from slipway.cli.groups import evaluation, fetch, gate, keys, label, models, releases, served, store

GROUPS = {
    "data": fetch.app,
    "models": models.app,
    "eval": evaluation.app,
    "gate": gate.app,
    "release": releases.app,
    "traces": served.traces_app,
    "feedback": served.feedback_app,
    "label": label.app,
    "keys": keys.app,
    "store": store.app,
}
