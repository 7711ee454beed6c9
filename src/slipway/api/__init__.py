"""The public verbs. Everything the command line does, a Python program can do with these; they return plain values.

```python
from pathlib import Path

from slipway import api
from slipway.testing.projects import write_project

folder = write_project(Path("demo")).parent  # or a folder of your own with a slipway.yaml
with api.open_project(folder) as project:
    outcome = api.run(project)
    print(outcome.verdict.outcome, api.ask(project, "How much does the keel weigh?").text)
```

`project` is an open project (`open_project`); every verb may raise the errors of `slipway.errors`.
"""

from slipway.api.cards import card
from slipway.api.choosing import bench, recommend
from slipway.api.evaluation import compare, reports
from slipway.api.examples import draft, import_examples, review
from slipway.api.finding import diff, find, items
from slipway.api.gate import gate_looks, plan_gate, rotate_gate
from slipway.api.improving import improve, learning_curve, simulate
from slipway.api.labelling import labelling
from slipway.api.material import changes, datasets, fetch, models, pull_models, remove_model
from slipway.api.monitoring import monitor
from slipway.api.project import ask, check, init, json_schema, open_project, run, runs, serve, watch
from slipway.api.release import export_verdict, history, promote, releases, rollback, verdict, verify
from slipway.api.served import (
    create_key,
    export_examples,
    export_feedback,
    export_traces,
    feedback,
    forget,
    import_feedback,
    keys,
    mine_feedback,
    revoke_key,
    trace,
    traces,
    traces_to_export,
)
from slipway.api.state import bundle, kept, store_backup, store_gc, store_restore, store_stats, store_verify
from slipway.api.whole import report

__all__ = [
    "ask",
    "bench",
    "bundle",
    "card",
    "changes",
    "check",
    "compare",
    "create_key",
    "datasets",
    "diff",
    "draft",
    "export_examples",
    "export_feedback",
    "export_traces",
    "export_verdict",
    "feedback",
    "fetch",
    "find",
    "forget",
    "gate_looks",
    "history",
    "import_examples",
    "import_feedback",
    "improve",
    "init",
    "items",
    "json_schema",
    "kept",
    "keys",
    "labelling",
    "learning_curve",
    "mine_feedback",
    "models",
    "monitor",
    "open_project",
    "plan_gate",
    "promote",
    "pull_models",
    "recommend",
    "releases",
    "remove_model",
    "report",
    "reports",
    "review",
    "revoke_key",
    "rollback",
    "rotate_gate",
    "run",
    "runs",
    "serve",
    "simulate",
    "store_backup",
    "store_gc",
    "store_restore",
    "store_stats",
    "store_verify",
    "trace",
    "traces",
    "traces_to_export",
    "verdict",
    "verify",
    "watch",
]
