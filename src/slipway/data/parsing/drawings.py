"""Charts and diagrams (SmartArt) of slides and Word files: the numbers and the texts that a reader sees drawn."""

from __future__ import annotations

from typing import Any

from slipway.data.parsing.blocks import Block
from slipway.data.parsing.number_format import formatted
from slipway.data.parsing.tables import table_blocks

_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
DATA = f"{_TEXT}graphicData"
_MOST_POINTS = 5000  # of a chart: more are a curve, which is not read as numbers


def drawn(data: Any, part: Any) -> list[Block]:
    """The blocks of what `a:graphicData` refers to; nothing for pictures and what is kept elsewhere."""
    chart, diagram = data.find(f"{_CHART}chart"), data.find(f"{_DIAGRAM}relIds")
    if chart is not None:
        return _chart(_target(part, chart.get(f"{_RELATION}id")))
    return _diagram(_target(part, diagram.get(f"{_RELATION}dm"))) if diagram is not None else []


def _target(part: Any, key: str | None) -> Any:
    """The root of the XML that a part refers to; None where there is none."""
    from lxml.etree import XMLParser, fromstring

    relation = part.rels.get(key) if key else None
    if relation is None or relation.is_external:
        return None
    parser = XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    return fromstring(relation.target_part.blob, parser)


def _chart(root: Any) -> list[Block]:
    if root is None:
        return []
    title = root.find(f"{_CHART}chart/{_CHART}title")
    name = _flat(title) if title is not None else ""
    series = list(root.iter(f"{_CHART}ser"))
    labels: dict[int, str] = {}
    columns: list[tuple[str, dict[int, str]]] = []
    for one in series:
        labels = _points(one, "cat") | _points(one, "xVal") | labels
        head = one.find(f"{_CHART}tx")
        columns.append((_flat(head) if head is not None else "", _points(one, "val") | _points(one, "yVal")))
    rows = sorted(set(labels).union(*(values for _, values in columns)))[:_MOST_POINTS]
    table = [[labels.get(row, ""), *(values.get(row, "") for _, values in columns)] for row in rows]
    made = table_blocks([["", *(head for head, _ in columns)], *table]) if table else []
    return [*([Block("text", name)] if name else []), *made]


def _points(series: Any, kind: str) -> dict[int, str]:
    """Number of each point -> what it shows, of the innermost labels where they have levels."""
    held = series.find(f"{_CHART}{kind}")
    if held is None:
        return {}
    level = held.find(f".//{_CHART}lvl")
    code = held.findtext(f".//{_CHART}formatCode") or "General"
    found: dict[int, str] = {}
    for point in (held if level is None else level).iter(f"{_CHART}pt"):
        text, number = point.findtext(f"{_CHART}v") or "", point.get("idx") or ""
        if number.isdecimal():
            found[int(number)] = _number(text, code) if kind != "cat" or level is None else text
    return found


def _number(text: str, code: str) -> str:
    try:
        return formatted(float(text), code)
    except ValueError:
        return text


def _diagram(root: Any) -> list[Block]:
    """The texts of a diagram, as a list."""
    if root is None:
        return []
    points = [point for point in root.iter(f"{_DIAGRAM}pt") if point.get("type") in (None, "node", "asst")]
    texts = [text for point in points for held in point.findall(f"{_DIAGRAM}t") if (text := _flat(held))]
    return [Block("text", "\n".join(f"- {text}" for text in texts))] if texts else []


def _flat(held: Any) -> str:
    """All texts below an element, those of a paragraph joined."""
    texts = [node.text or "" for node in held.iter(f"{_TEXT}t", f"{_CHART}v")]
    return " ".join("".join(texts).split())
