"""`tune: keras`: the contract of tuners; what LiteRT runs is what Keras trained; damaged files."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from slipway.errors import IntegrityError, MissingPrerequisite

pytest.importorskip("ai_edge_litert", reason="needs the extra keras")
if any(find_spec(name) is None for name in ("keras", "torch")):
    pytest.skip("needs the extra keras", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras with NumPy 2.4

from slipway.builtin.classifiers.classifier import load  # noqa: E402
from slipway.builtin.classifiers.litert import GRAPH, Litert, require_extra  # noqa: E402
from slipway.builtin.dense.writing import Layer, tflite  # noqa: E402
from slipway.builtin.tuners.keras import KerasTuner  # noqa: E402
from slipway.core.candidate import ModelPin  # noqa: E402
from slipway.core.material import Example  # noqa: E402
from slipway.testing.tuners import Job, TunerContract  # noqa: E402

if TYPE_CHECKING:
    from slipway.core.artifact import Made
    from slipway.core.protocols import Tuner

WORDS = {"card": "card lost stolen 卡片", "transfer": "transfer late pending 转账", "refund": "refund money back 退款"}


class Talk(Job):
    """Questions of three labels, in two languages."""

    def examples(self, split: str) -> list[Example]:  # type: ignore[override]
        self._may(split)
        draw = np.random.default_rng(len(split))
        return [
            Example(input={"text": " ".join(draw.permutation([*words.split(), "my", "the", str(n)]))},
                    expected=(label,), split=split)
            for n in range(12) for label, words in WORDS.items()
        ]  # fmt: skip


def tuner(**options: object) -> KerasTuner:
    return KerasTuner(
        KerasTuner.Config.model_validate({"threads": 1, "epochs": 6, "units": (16,), "batch_size": 8, **options})
    )


@pytest.mark.slow
class TestKerasTuner(TunerContract):
    base: ClassVar[ModelPin | None] = ModelPin(name="encoder", engine="onnx", source="")

    def make_tuner(self) -> Tuner:
        return tuner(dropout=0.3)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return tuner(epochs=25).tune(Talk(tmp_path_factory.mktemp("job"), ("train", "dev"), None, {}))


@pytest.mark.slow
def test_it_learns_and_serves_without_torch(made: Made) -> None:
    assert set(made.files) == {"classifier.npz", GRAPH}
    assert made.measured["dev_accuracy"] == 1.0
    assert (made.measured["parity_differences"], made.measured["parity_examples"]) == (0.0, 36.0)
    classifier = load(made.files["classifier.npz"], made.files)
    shares = classifier.probabilities(["退款 money 7", "卡片 stolen"], np.zeros((2, 0), np.float32))
    assert [classifier.header.labels[int(row.argmax())] for row in shares] == ["refund", "card"]
    assert shares.sum(axis=1) == pytest.approx([1, 1])


@pytest.mark.slow
def test_a_classifier_without_its_network_is_told(made: Made, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=GRAPH):
        load(made.files["classifier.npz"], {"classifier.npz": made.files["classifier.npz"]})


@pytest.mark.slow
@pytest.mark.parametrize("units", [(), (7,), (9, 4)])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_file_computes_what_keras_computes(units: tuple[int, ...], batch_norm: bool) -> None:
    from slipway.builtin.dense import training

    options = tuner(units=units, batch_norm=batch_norm).config
    keras, draw = training.the_keras(), np.random.default_rng(0)
    with keras.device("cpu"):
        model = training.network(keras, 11, 5, options, 3)
        model.set_weights([np.abs(draw.standard_normal(one.shape)).astype("f") for one in model.get_weights()])
        rows = draw.standard_normal((6, 11)).astype(np.float32)
        wanted = keras.ops.convert_to_numpy(model(rows, training=False))
    served = Litert(tflite(training.layers_of(model, options)), 11, 5)
    assert np.stack([served.scores(row) for row in rows]) == pytest.approx(wanted, rel=1e-4, abs=1e-4)


def test_a_file_is_the_same_each_time_and_its_weights_lie_where_the_schema_wants_them() -> None:
    kernel = np.arange(21, dtype=np.float32).reshape(7, 3) + 0.5
    layers = [Layer(kernel, np.ones(3, np.float32), relu=False)]
    content = tflite(layers)
    assert content == tflite(layers)
    assert content.index(np.ascontiguousarray(kernel.T).tobytes()) % 16 == 0
    assert Litert(content, 7, 3).scores(np.eye(7, dtype=np.float32)[2]).tolist() == [7.5, 8.5, 9.5]


@pytest.mark.parametrize(
    "spoil", [lambda one: one[:40], lambda one: b"", lambda one: b"x" * 400, lambda one: one[:-200]]
)
def test_a_damaged_network_is_told(spoil: object) -> None:
    content = tflite([Layer(np.ones((40, 3), np.float32), np.zeros(3, np.float32), relu=False)])
    with pytest.raises(IntegrityError, match="no network that can be run"):
        Litert(spoil(content), 40, 3)  # type: ignore[operator]


def test_a_network_of_other_sizes_is_told() -> None:
    content = tflite([Layer(np.ones((4, 3), np.float32), np.zeros(3, np.float32), relu=False)])
    with pytest.raises(IntegrityError, match="no network that can be run"):
        Litert(content, 5, 3)


def test_what_is_not_installed_is_named() -> None:
    with pytest.raises(MissingPrerequisite, match="no-such-package") as caught:
        require_extra("no_such_module", "no-such-package")
    assert caught.value.hint == "pip install 'slipway-ai[keras]'"


@pytest.mark.slow
def test_a_model_that_learns_no_more_is_slowed_down_and_stopped(tmp_path: Path) -> None:
    job = Talk(tmp_path, ("train", "dev"), None, {})
    rates: list[float] = []
    job.progress = lambda done, total, /, **numbers: rates.append(numbers.get("learning_rate", 0.0))  # type: ignore[method-assign]
    found = tuner(epochs=60, patience=4, reduce_patience=1, learning_rate=0.5, dropout=0.0).tune(job).measured
    assert found["epochs"] < 60
    assert found["best_epoch"] <= found["epochs"] - 4
    assert min(rate for rate in rates if rate) < 0.5
