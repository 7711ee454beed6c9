"""Labels from a file, and files that are none."""

from pathlib import Path

import pytest

from slipway.builtin.tasks.label_files import labels_in
from slipway.errors import ConfigError
from slipway.project.load import load

FILE = "slipway: 1\nname: desk\ntask: {classify: {labels: %s}}\n"


@pytest.mark.parametrize(
    ("path", "text", "labels"),
    [
        ("a.txt", "billing\nlogin problem\n\n登录\n", {"billing": "", "login problem": "", "登录": ""}),
        ("a.txt", "\ufeffbilling\tpayments\r\nrefund\tmoney back\r\n", {"billing": "payments", "refund": "money back"}),
        ("a.txt", "refund\nrefund status\nrefund status late\n", dict.fromkeys(("refund", "refund status", "refund status late"), "")),
        ("a.csv", "label,description\nbilling,\"payments, invoices\"\n退款,退钱\n", {"billing": "payments, invoices", "退款": "退钱"}),
        ("a.csv", "id,description,label\n1,payments,billing\n2,,refund\n", {"billing": "payments", "refund": ""}),
        ("a.csv", "billing\nrefund\n", {"billing": "", "refund": ""}),
        ("a.yaml", "- yes\n- no\n- 1.0\n", {"yes": "", "no": "", "1.0": ""}),
        ("a.yml", "billing: payments\nrefund:\n", {"billing": "payments", "refund": ""}),
    ],
)  # fmt: skip
def test_labels_are_read_as_they_are_written(path: str, text: str, labels: dict[str, str]) -> None:
    assert labels_in(path, text) == labels


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("a.txt", "billing\nrefund\nBilling.\n", "'Billing.' of line 3 is there already, in line 1"),
        ("a.csv", "label\nbilling\nbilling\n", "line 3 is there already, in line 2"),
        ("a.yaml", "- a\n- b\n- a\n", "line 3 is there already, in line 1"),
        ("a.txt", "", "has no labels"),
        ("a.csv", "label,description\n", "has no labels"),
        ("a.yaml", "", "has no labels"),
        ("a.yaml", "a", "neither a list"),
        ("a.yaml", "a: {b: c}", "neither a list"),
        ("a.yaml", "a: [", "not YAML"),
        ("a.yaml", "[" * 10_000, "not YAML"),
        ("a.pdf", "a\nb", "no file of labels"),
    ],
)
def test_what_is_no_file_of_labels_is_told(path: str, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        labels_in(path, text)


def test_a_project_has_the_labels_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "slipway.yaml").write_text(FILE % "labels.txt", "utf-8")
    (tmp_path / "labels.txt").write_bytes("\ufeffbilling\tpayments\r\n登录\r\n".encode())
    assert load(tmp_path / "slipway.yaml").task.options == {"labels": {"billing": "payments", "登录": ""}}
    for named, why in (("none.txt", "cannot be read"), ("../labels.txt", "leads out of the project")):
        (tmp_path / "slipway.yaml").write_text(FILE % named, "utf-8")
        with pytest.raises(ConfigError, match=why):
            load(tmp_path / "slipway.yaml")
    (tmp_path / "labels.txt").write_bytes("登录".encode("gb18030"))
    (tmp_path / "slipway.yaml").write_text(FILE % "labels.txt", "utf-8")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "slipway.yaml")
