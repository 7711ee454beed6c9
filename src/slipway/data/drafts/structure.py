"""Questions from what is laid out: rows of tables, terms with their descriptions, options, lists of steps.

The same for every language; only the words of the question differ.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from slipway.data.drafts.found import Found
from slipway.data.drafts.passages import GENERIC, Block, Passage, in_words
from slipway.text.statements import shown, statements
from slipway.text.words import is_cjk, weigh

_OPTION = re.compile(r"[`*\"]{0,2}(--?[A-Za-z][\w-]*)(?P<rest>(?:[= ][^.。]{0,40})?)[`*\"]{0,2}$")
_CAPTION = re.compile(r"(?:table|表)\s*[\dA-Z]+(?:[-.]\d+)*[.:：]?\s*(?P<what>.{3,80})$", re.IGNORECASE)
_GOOD_COLUMNS = re.compile(
    r"(?:desc|meaning|purpose|function|effect|definition|explanation|default|value|type|result|return|action|"
    r"unit|limit|"
    r"range|size|version|使用|说明|描述|含义|意义|作用|功能|效果|定义|解释|默认|类型|结果|返回|单位|范围|大小|"
    r"版本|用途|等价|对应)",
    re.IGNORECASE,
)
_POOR_CELL = re.compile(
    r"^[\W_]*$|^(?:yes|no|n/?a|none|same|ditto|see .*|同上|是|否|无|[✓✗xX×])$|^[VI]:\d", re.IGNORECASE
)
_TERM_ITEM = re.compile(
    r"[\"“`*]{0,2}(?P<term>[^:：.。,，;；\n]{2,50}?)[\"”`*]{0,2}(?:\s+[—–]\s+|\s*：\s*|:\s+)"
    r"[*]{0,2}\s*(?P<what>.{10,})$"
)
_NO_TERM = re.compile(
    r"(?:note|warning|caution|important|tip|example|see|todo|hint|e\.g|i\.e|for|if|when|in|by|with|to|as|注意?|"
    r"警告|提示|例如?|示例|参见|"
    r"如果|当|在|若|要|请|从|对于)\b|https?$",
    re.IGNORECASE,
)
_GERUNDS = {
    "creating": "create", "installing": "install", "using": "use", "setting": "set", "getting": "get", "running": "run",
    "removing": "remove", "adding": "add", "changing": "change", "enabling": "enable", "disabling": "disable",
    "building": "build", "configuring": "configure", "compiling": "compile", "upgrading": "upgrade", "writing": "write",
    "opening": "open", "closing": "close", "connecting": "connect", "managing": "manage", "deleting": "delete",
    "inserting": "insert", "updating": "update", "testing": "test", "checking": "check", "starting": "start",
    "stopping": "stop", "loading": "load", "saving": "save", "converting": "convert", "copying": "copy",
    "moving": "move",
    "editing": "edit", "defining": "define", "applying": "apply", "printing": "print", "renaming": "rename",
    "importing": "import", "exporting": "export", "restoring": "restore", "recovering": "recover",
    "verifying": "verify",
}  # fmt: skip
_ZH_VERBS = (
    "创建|插入|删除|编辑|设置|更改|修改|使用|添加|保存|打开|关闭|安装|配置|启用|禁用|导入|导出|打印|复制|移动|"
    "切换|转换|应用|定义|显示|隐藏|"
    "选择|更新|升级|运行|启动|停止|连接|恢复|备份|查找|替换|合并|拆分|格式化|调整|指定|分配|检查|验证|查看|"
    "测试|编译|构建|卸载|重命名|录制|绘制|对齐|旋转|锁定|保护"
)
_STEP_VERB = re.compile(
    r"(?:on the |in the |then |next,? |first,? |click|choose|select|open|press|type|enter|run|use|set|go |"
    r"create|drag|install|"
    r"edit|add|copy|make|check|start|stop|close|download|configure|place|position|mark|do |right-click|"
    r"double-click|save|"
    r"change|remove|move|单击|选择|打开|按|输入|在|将|点击|双击|右击|运行|执行|使用|设置|拖|创建|安装|编辑|"
    r"添加|复制|检查|启动|关闭|下载|配置|选中|"
    r"选定|指定|从|切换|键入|请|插入|通过|把|用|标记|然后|保存|更改|删除|移动)",
    re.IGNORECASE,
)


_NO_PURPOSE = re.compile(
    r"(?:see|as|like|same|these|this|ditto|by default|when|if|normally|usually|note|the default|currently|参见|"
    r"默认|如果|当)\b",
    re.IGNORECASE,
)


def of_tables(passage: Passage, chinese: bool) -> Iterator[Found]:
    """A cell asked for by its row's first cell and its column's name, with what the table is called."""
    caption = ""
    for block in passage.blocks:
        if block.kind == "table":
            yield from _cells(block, passage, caption, chinese)
        found = _CAPTION.match(shown(block.text)) if block.kind == "text" else None
        caption = found["what"].strip() if found else ""


def _cells(block: Block, passage: Passage, caption: str, chinese: bool) -> Iterator[Found]:
    rows = [row for row in block.rows if not all(re.fullmatch(r":?-+:?", cell) for cell in row if cell)]
    if len(rows) < 4 or not (header := rows[0]) or len(header) < 2:
        return
    body = [row for row in rows[1:] if len(row) == len(header)]
    if len(body) < 3 or not _is_header(header, body, chinese):
        return
    named = caption or in_words(passage)
    if not named or weigh(named) > 90:
        return
    keys = Counter(row[0] for row in body)
    for at in range(1, len(header)):
        if not _GOOD_COLUMNS.search(header[at]):
            continue
        values = Counter(row[at] for row in body)
        for row in body:
            key, value = row[0], row[at]
            if keys[key] > 1 or values[value] > max(1, len(body) // 3) or _POOR_CELL.match(value) or weigh(key) > 60:
                continue
            if re.fullmatch(r"[\d.,]+", value) and re.search(r"size|version|大小|版本", header[at], re.I):
                continue  # a bare number says nothing without its unit
            if (
                len(key) < 2
                and not key.isdigit()
                or key == value
                or _POOR_CELL.match(key)
                or re.search(r"[:：]$", value)
            ):
                continue
            yield Found("table", _asked(key, header, at, named, chinese), value, " | ".join(row))


def _asked(key: str, header: list[str], at: int, named: str, chinese: bool) -> str:
    column = re.sub(r"^descriptions? of (?:the )?", "", header[at], flags=re.IGNORECASE)
    if re.fullmatch(r"[\d.,]+", key):
        key = f"{header[0]} {key}" if chinese else f"{header[0].lower()} {key}"
    if chinese:
        return f"在“{named}”中，“{key}”的{' ' if column[0].isascii() else ''}{column}是什么？"
    column = column.lower() if column.istitle() or column[1:].islower() else column
    key = f'"{key}"' if " " in key and '"' not in key else key
    head = column.split(" of ")[0]
    be = "are" if re.search(r"[^su]s$", head) and not column.endswith(("alias", "status")) else "is"
    return f'In "{named}", what {be} the {column} of {key}?'


def _is_header(header: list[str], body: list[list[str]], chinese: bool) -> bool:
    """Short different words in each cell, unlike what stands below them."""
    if len({cell.lower() for cell in header}) < len(header):
        return False
    if any(chinese and not any(map(is_cjk, cell)) for cell in header[1:]):
        return False
    return all(
        0 < len(cell.split()) <= 4 and weigh(cell) <= 40 and cell[0].isalpha() and not re.search(r"\d|[=(){}<>.]", cell)
        for cell in header
    )


def of_terms(passage: Passage, chinese: bool) -> Iterator[Found]:
    """`- term: what it is`, and an option on a line of its own with its description below."""
    for block, following in zip(passage.blocks, [*passage.blocks[1:], None], strict=True):
        if block.kind == "list" and not block.ordered:
            yield from _terms(block, passage, chinese)
        if block.kind == "text" and following is not None and following.kind == "text":
            yield from _options(shown(block.text), following, passage, chinese)


def _terms(block: Block, passage: Passage, chinese: bool) -> Iterator[Found]:
    matches = [_TERM_ITEM.match(shown(text)) for text, *_ in block.rows]
    if (
        re.search(r"[?？]$", passage.heading)
        or len(matches) < 2
        or sum(match is not None for match in matches) < 0.7 * len(matches)
    ):
        return
    for match in matches:
        if match is None or not _is_term(match["term"]) or _NO_TERM.match(match["term"]):
            continue
        what = first(match["what"])
        telling = (
            sum(map(is_cjk, what)) > 7 if chinese else len(what.split()) > 4 and re.match(r"(?:An?|The|This) ", what)
        )
        if not telling or not (what[0].isalpha() or is_cjk(what[0])) or re.search(r"[:：]$|→|^https?:", what):
            continue
        term, named = match["term"].strip('"“”`* '), in_words(passage)
        if not named or weigh(named) > 60:
            continue
        if chinese:
            yield Found("term", f"在“{named}”中，“{term}”指什么？", what, shown(match[0]))
        else:
            yield Found("term", f'In "{named}", what is meant by "{term}"?', what, shown(match[0]))


def _is_term(term: str) -> bool:
    return len(term.split()) <= 4 and weigh(term) <= 36 and not re.search(r"[?？!！()（）]$|[=<>/→]|^\d", term)


def _options(term: str, following: Block, passage: Passage, chinese: bool) -> Iterator[Found]:
    match = _OPTION.match(term)
    subject = passage.subject if not GENERIC.match(passage.subject) else passage.document.title
    subject = re.sub(r"\s*(?:\(\d\)\s*)?(?:manual page|man page)$", "", subject, flags=re.IGNORECASE)
    subject = re.sub(r"\(\d\)$", "", subject).strip()
    if not match or not subject or GENERIC.match(subject) or weigh(subject) > 40 or len(term) > 60:
        return
    what = first(shown(following.text)).rstrip(".。")
    if len(what.split()) < 4 and not chinese or re.search(r"[:：]$", what) or _NO_PURPOSE.match(what):
        return
    if not what[0].isalnum():
        return
    option = match[1]
    question = f'In "{subject}", what does the option {option} do?'
    if chinese:
        question = f"{subject} 的选项 {option} 有什么作用？"
    elif " " not in subject:
        question = f"What does the option {option} of {subject} do?"
    yield Found("option", question, what, f"{term}: {shown(following.text)}")


def of_steps(passage: Passage, chinese: bool) -> Iterator[Found]:
    """A heading that names a task, answered by the numbered list of its steps."""
    goal = _goal(passage.heading, chinese)
    lists = [block for block in passage.blocks if block.kind == "list" and block.ordered]
    if not goal or len(lists) != 1 or not 2 <= len(lists[0].rows) <= 8:
        return
    steps = [shown(text) for text, *_ in lists[0].rows]
    if sum(bool(_STEP_VERB.match(step.lstrip('"“*`'))) for step in steps) < 0.6 * len(steps):
        return
    if re.search(r"[:：]$", steps[-1]) or (chinese and not all(any(map(is_cjk, step)) for step in steps)):
        return
    answer = "\n".join(line.strip() for line in lists[0].text.split("\n"))
    yield Found("steps", f"如何{goal}？" if chinese else f"How do you {goal}?", answer, passage.heading)


def _goal(heading: str, chinese: bool) -> str:
    """What a heading says can be done: "Creating a view" is "create a view"."""
    if chinese:
        goal = re.sub(r"^(?:如何|要|怎样)", "", heading)
        return goal if re.match(rf"(?:{_ZH_VERBS})[^：:]{{2,24}}$", goal) else ""
    first, _, rest = heading.partition(" ")
    if first.lower() == "how" and rest.lower().startswith("to "):
        return rest[3:]
    verb = _GERUNDS.get(first.lower(), "")
    if first.lower() == "to":
        verb, rest = rest.partition(" ")[0].lower(), rest.partition(" ")[2]
    return f"{verb} {rest}" if verb and len(rest.split()) >= 2 else ""


def first(text: str) -> str:
    """The first statement of a text."""
    found = statements([text])
    return shown(found[0].text) if found else ""


def opening(text: str) -> str:
    """What stands first: as many statements as make a short answer."""
    said = ""
    for found in statements([text]):
        more = shown(found.text)
        joined = (
            f"{said} {more}".strip() if not said or not is_cjk(said[-1]) and said[-1] not in "。！？" else said + more
        )
        if said and weigh(joined) > 300:
            break
        said = joined
        if weigh(said) > 80:
            break
    return said
