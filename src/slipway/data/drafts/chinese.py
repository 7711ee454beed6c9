"""Questions from Chinese sentences, by the same rules as for English: definitions, purposes, limits, how-to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slipway.data.drafts.english import spelled
from slipway.data.drafts.found import Found
from slipway.data.drafts.passages import Passage, in_words
from slipway.text.words import is_cjk, weigh

_ANAPHORA = re.compile(
    r"[这那它其该此您你我他她]|本(?:文|章|节|手册|页|书|例|文档|身)|上述|以上|以下|如下|下[面列文述]|上面|前者|"
    r"后者|前面|后面|之[前后]|"
    r"每个|另(?:一|外|个)|同样|相同|某|有些|一些|任何|所有|大多数|许多|很多|什么|哪|谁|怎|如何|是否|如果|因为|"
    r"所以|但是|不过|然而|"
    r"例如|比如|首先|其次|然后|最后|此外|而且|也|还|都|就|只|才|又|再|不|没|很|非常|目前|现在|当前|通常|一般"
)
_POINTS_AWAY = re.compile(
    r"上述|以上|以下|如下|下面|下列|下文|上面|前面|这[些个里样种]|本[章节页文]|参见|请参阅|参阅|见第|[:：]$"
)
_VAGUE = re.compile(
    r"(?:原因|问题|结果|关键|区别|目的|好处|缺点|优点|方法|办法|做法|方式|例子|例外|情况|答案|重点|前提|选择|"
    r"建议|想法|事实|意思|内容|步骤|理由|特点|"
    r"一|第[一二三四五六七八九十\d]+|个|们|时|后|前|中|上|下|里|内|外|的|了|地|得|者|就|将|会|能|可以|应该|"
    r"必须|需要|默认|默认值|值|名称|功能|信息|"
    r"主题|设计|概念|工具|程序|文件|命令|选项|参数|系统|软件|数据|用户|方案|东西)$"
)
_TERM = r"[^，。；：！？、,;:!?（）()\n]{1,30}?(?: ?[（(][^（）()]{1,40}[）)])?"
_OPEN, _CLOSE = r"[“\"「『`*]?", r"[”\"」』`*]?"
_NAMED = rf"{_OPEN}(?P<term>{_TERM}){_CLOSE}"
_VALUE = r"(?:是|为) ?(?P<value>[^，；]{1,40})$"

_DEFINITION = re.compile(
    rf"{_NAMED} ?(?:是指|指的是|是) ?(?P<what>(?:一(?:种|个|款|类|套|组|项|份|台|门|条|串|"
    rf"系列|段|张|本|部|家|名)|"
    r"(?:用于|用来|指|基于).{4,}?的).{4,})$"
)
_MEANS = re.compile(rf"{_NAMED} ?(?:是指|指的是|的含义是|的意思是) ?(?P<what>.{{4,}})$")
_USED = re.compile(rf"{_NAMED} ?(?:被|可|可以|主要|通常|一般)?(?P<used>用于|用来|用以) ?(?P<what>[^，；]{{4,}}.*)$")
_DEFAULT_OF = re.compile(rf"{_NAMED} ?的(?P<what>(?:默认|缺省|预设)[^，。；是为]{{0,8}}?){_VALUE}")
_DEFAULT = re.compile(rf"(?P<what>(?:默认|缺省|预设)(?:的)?[^，。；的是为]{{2,16}}?){_VALUE}")
_DEFAULTS = re.compile(rf"{_NAMED} ?(?:默认|缺省)(?:值)?{_VALUE}")
_MOST = re.compile(
    rf"{_NAMED} ?的(?P<what>(?:最大|最小|最高|最低|最长|最短|上限|下限)[^，。；是为]{{0,10}}?)"
    rf"(?:是|为) ?(?P<value>[^，；]*\d[^，；]{{0,30}})$"
)
_FULL = re.compile(r"(?P<short>[A-Z][A-Za-z]{0,6}[A-Z])[ ]?[（(](?P<full>[A-Za-z][\w-]+(?:[ -][\w-]+){1,6})[，,）)]")
_HOW = re.compile(
    r"(?:如果|若|假如)?(?:您|你)?(?:想要|需要|希望|想|要|为了)(?P<goal>[^，。；：是]{4,40})(?:的话|时)?，(?:您|"
    r"你)?(?P<way>(?:请|可以|可|只需|需要|必须|应|应该|能够|就?用|使用|"
    r"执行|运行|选择|单击|点击|双击|按|输入|打开|设置|通过|在|将|把|从|先|键入|安装|编辑).{4,})$"
)
_FULL_FIRST = re.compile(r"(?P<full>[A-Z][\w-]+(?:[ -][\w-]+){1,6}) ?[（(](?P<short>[A-Z][A-Za-z]{0,4}[A-Z])[）)]")
_SHORT_OF = re.compile(r"(?P<short>[A-Z]{2,8}) ?(?:是|为) ?[“\"]?(?P<full>[^，。；”\"]{4,50})[”\"]? ?的(?:缩写|简称)")
_COUNT = re.compile(
    r"(?P<term>[^，。；：这那它其该此]{2,20}?)(?:有|分为|分成|包括|包含)(?P<n>[两二三四五六七八九十\d]{1,3})"
    r" ?(?P<what>[种类个层级]{1})(?P<noun>[^，。；：的有]{0,10})(?:[：:，。]|$)"
)
_SINCE = re.compile(
    rf"{_NAMED} ?(?:于|在) ?(?P<when>(?:\d{{4}} ?年(?: ?\d{{1,2}} ?月)?(?: ?\d{{1,2}} ?日)?))"
    rf"(?:首次|正式)?(?P<verb>发布|推出|成立|引入|出版|创建|诞生)"
)
_QUESTION = re.compile(
    r"(?:为什么|为何|如何|怎样|怎么|什么是|何时|哪些|是否).{2,}|.{2,}(?:是什么|吗|呢|怎么办|为什么.*)？?$"
)
_VERBS = (
    "返回|计算|显示|指定|设置|设定|插入|关闭|创建|删除|移动|复制|定义|更改|修改|启用|禁用|控制|确定|检查|转换|"
    "应用|添加|移除|保存|"
    "载入|加载|执行|列出|输出|打印|生成|读取|写入|查找|搜索|替换|排序|切换|允许|防止|隐藏|调整|合并|拆分|监控|"
    "管理|卸载|更新|升级"
)
_DESCRIBES = re.compile(
    rf"(?:(?:用于|可以?|会|将)?(?:{_VERBS})|将[^，。]{{2,20}}?(?:{_VERBS}|为|到|成)|在[^，。]{{2,16}}?(?:上|中|"
    rf"里|侧|处|内|下|前|后|间|置)(?:{_VERBS}))(?![的、台器员系]).{{4,}}"
)
_GENERIC = re.compile(
    r"^(?:概述|简介|说明|描述|选项|用法|语法|参数|示例|例子|注意|警告|提示|参见|介绍|背景|总结|常规|一般|其他|"
    r"更多|基础|基本|功能|步骤|安装|配置)|"
    r"(?:示例|列表|概述|简介|介绍|技巧|提示|基础|说明)$|[？?]$|如何|怎样|为什么"
)
_DOES = re.compile(
    rf"{_OPEN}(?P<term>[A-Za-z/-][\w./+-]*(?: ?\(\d?\))?){_CLOSE} ?(?P<kind>命令|函数|选项|参数|工具|程序|脚本|软件包|"
    rf"变量|关键字|语句|服务|守护进程|模块|属性|方法)? ?"
    rf"(?:命令|工具)?(?:可以|能够|能|会|将|用来|用于)?(?P<what>(?:{_VERBS})(?![的、台器员系])[^，；]{{4,}}.*)$"
)


def of_sentence(sentence: str, passage: Passage, *, first: bool) -> Iterator[Found]:
    """What one sentence answers."""
    text = sentence.strip()
    if not text or text[-1] not in "。.！）)”」":
        return
    said = text.rstrip("。.！")
    if sum(map(is_cjk, said)) < 5:
        return
    yield from _definitions(said, passage, first)
    yield from _values(said, passage)
    yield from _hows(said)
    yield from _facts(said, passage)


def of_heading(passage: Passage, opening: str) -> Iterator[Found]:
    """A heading that asks, answered by what stands first under it."""
    heading = passage.heading.strip('“”"')
    if _POINTS_AWAY.search(opening) or re.match(r"[这那它其此该]|参|请参", opening):
        return
    if re.search(r"，|[。？！].|^[你我]", heading) or not _answers(heading, opening):
        return
    if _QUESTION.match(heading) and sum(map(is_cjk, heading)) > 4 and not re.search(r"[这那它其此该]", heading):
        yield Found("heading", heading if heading.endswith("？") else f"{heading}？", opening, heading)


def _answers(heading: str, opening: str) -> bool:
    """Whether what stands first looks like an answer to this kind of question."""
    if re.search(r"为什么|为何", heading):
        return bool(re.search(r"因为|由于|为了|以便|原因|要求", opening))
    if re.search(r"吗[？?]?$|^是否|能否|可否", heading):
        return bool(re.match(r"是|不(?!同)|可以|能|会|有|没|当然|对|否", opening))
    if "什么是" in heading or heading.rstrip("？?").endswith("是什么"):
        return bool(re.search(r"是|指", opening))
    if re.search(r"如何|怎样|怎么", heading):
        return bool(
            re.match(r"(?:您|你)?(?:可以|请|使用|用|运行|执行|在|通过|只需|把|将|输入|选择|首先|先|推荐)", opening)
        )
    return True


def of_description(passage: Passage, opening: str) -> Iterator[Found]:
    """What stands under a name and begins with a verb: “返回数值的绝对值。”."""
    name = _clean(passage.heading)
    match = _DESCRIBES.match(opening)
    if re.search(r"如果|之[前后]，|^在默认|[：:，]", opening[:14]) or re.search(r"的|通过|：|:|和|与|及|、|/", name):
        return
    named = bool(re.search(r"[A-Z]{2}|\w[._]\w|\(", name))
    over = passage.subject if passage.subject != passage.heading else ""
    if not named and not over:
        return
    inside = "" if named else f"在“{over}”中，"
    if match and 2 <= weigh(name) <= 40 and not _POINTS_AWAY.search(opening) and not _GENERIC.search(name):
        yield Found("description", f"{inside}“{name}”有什么作用？", opening.rstrip("。"), f"{name}：{opening}")


def _definitions(said: str, passage: Passage, first: bool) -> Iterator[Found]:
    match = _DEFINITION.match(said) or _MEANS.match(said)
    if match and _term(match["term"], passage) and not _POINTS_AWAY.search(match["what"]) and weigh(match["what"]) > 20:
        yield Found("definition", f"什么是{_spaced(_clean(match['term']))}？", match["what"], said)
        return
    match = _DOES.match(said)
    if match and not _POINTS_AWAY.search(match["what"]) and not re.search(r"[这那它其此]|^..的", match["what"][:10]):
        term = match["term"]
        if (
            not match["kind"]
            and not re.search(r"[()_]|\w-\w", term)
            and term.lower() not in passage.heading.lower().split()
        ):
            return
        kind = f" {match['kind']}" if match["kind"] else ""
        yield Found("purpose", f"{match['term']}{kind}{'' if kind else ' '}有什么作用？", match["what"], said)
        return
    match = _USED.match(said)
    if match and _term(match["term"], passage) and not _POINTS_AWAY.search(match["what"]):
        yield Found("purpose", f"{_clean(match['term'])}{_gap(match['term'])}有什么用途？", match["what"], said)


def _values(said: str, passage: Passage) -> Iterator[Found]:
    match = _DEFAULT_OF.match(said) or _DEFAULTS.match(said)
    if match and _term(match["term"], passage) and _valued(match["value"]):
        what = match.groupdict().get("what") or "默认值"
        yield Found("default", f"{_clean(match['term'])}{_gap(match['term'])}的{what}是什么？", match["value"], said)
        return
    match = _DEFAULT.match(said)
    if match and not _ANAPHORA.search(match["what"]) and _valued(match["value"]) and match["what"][-1] not in "值时下":
        where = in_words(passage)
        if where:
            yield Found("default", f"在“{where}”中，{match['what']}是什么？", match["value"], said)
    match = _MOST.match(said)
    if match and _term(match["term"], passage) and _valued(match["value"]):
        yield Found(
            "limit", f"{_clean(match['term'])}{_gap(match['term'])}的{match['what']}是多少？", match["value"], said
        )


def _hows(said: str) -> Iterator[Found]:
    match = _HOW.match(said)
    if not match:
        return
    goal = re.sub(r"^(?:能够|能|可以)", "", match["goal"]).strip()
    plain = re.sub(r"[您你](?:的)?", "", goal)
    if _points(plain) or _POINTS_AWAY.search(match["way"]) or re.search(r"[这那]", match["way"][:12]):
        return
    if not re.match(r"[\u4e00-\u9fff]{2}", goal) or weigh(goal) < 12 or re.search(r"哪|什么|有关|相关|进行工作", goal):
        return
    plain = re.sub(r"(?<=[\u4e00-\u9fff])(?=[A-Za-z0-9])", " ", plain)
    yield Found("how", f"如何{_spaced(plain)}？", match["way"], said)


def _facts(said: str, passage: Passage) -> Iterator[Found]:
    for pattern in (_SHORT_OF, _FULL, _FULL_FIRST):
        for match in pattern.finditer(said):
            full = spelled(match["short"], re.sub(r"\s*[^\x00-\x7f].*", "", match["full"]))
            if " " in full or "-" in full:
                yield Found("abbreviation", f"{match['short']} 的全称是什么？", full, said)
    match = _SINCE.match(said)
    if match and _term(match["term"], passage):
        yield Found(
            "date", f"{_clean(match['term'])}{_gap(match['term'])}是什么时候{match['verb']}的？", match["when"], said
        )


def _points(text: str) -> bool:
    return bool(re.search(r"[这那它其该此]|上述|以上|以下|如下|下面|下列|上面|前者|后者|本[章节文]", text))


def _term(term: str, passage: Passage) -> bool:
    """Whether it is what something is called: short, a noun by its look, and known from headings or by its script."""
    term = _clean(term)
    if (
        not term
        or re.search(
            r"被|能够|进行|作为|广泛|专$|可$|[=]|适合|至今|仍|最|经常|常|从而|特别|[有仅只即]$|^(?:注意|提示|"
            r"警告|使用|通过|用)",
            term,
        )
        or _ANAPHORA.search(term)
        or _VAGUE.search(term)
        or "的" in term
        or weigh(term) > 40
    ):
        return False
    over = " ".join(passage.headings).lower()
    known = any(term in heading or (len(heading) > 2 and heading in term) for heading in passage.headings)
    latin = re.findall(r"[A-Za-z]{2,}", term)
    coded = bool(re.search(r"[A-Z]{2}|\w[._(/-]\w|--?\w", term)) or any(word.lower() in over for word in latin)
    return known or (coded and re.match(r"[A-Za-z/-]", term) is not None) or bool(re.search(r"[（(][A-Za-z]", term))


def _valued(value: str) -> bool:
    return not _POINTS_AWAY.search(value) and not re.search(r"^[这那它否了不用]|的$", value)


def _clean(term: str) -> str:
    return term.strip('“”"「」『』`* 、')


def _gap(before: str) -> str:
    """A space after a Latin letter, as Chinese is written beside it."""
    last = _clean(before)[-1:]
    return " " if last.isascii() else ""


def _spaced(text: str) -> str:
    """The text after a Chinese character: with a space before a Latin letter."""
    return f" {text}" if text[:1].isascii() else text
