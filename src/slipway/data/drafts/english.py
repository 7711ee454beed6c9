"""Questions from English sentences: definitions, purposes, defaults, limits, abbreviations, how-to clauses, dates.

A sentence is used only when it can be understood alone: what it is about must be a name (`WAL`, `--root`,
`sqlite3_open()`), an indefinite kind ("A savepoint is a ..."), or stand in the headings above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from slipway.data.drafts.found import Found
from slipway.data.drafts.passages import Passage
from slipway.text.words import words

_ANAPHORA = re.compile(
    r"\b(?:this|that|these|those|it|its|they|them|their|such|same|here|there|above|below|following|previous|former|"
    r"latter|aforementioned|otherwise|instead|also|however|therefore|thus|another|other|others|we|our|us|I|my|he|she|"
    r"resulting|one|itself|themselves|both|each|either|neither|so|then|next|section|chapter|paragraph|page|"
    r"figure|example|you|your|author)\b",
    re.IGNORECASE,
)
_POINTS_AWAY = re.compile(
    r"\b(?:(?:above|below)(?! (?:the|an?) )|as follows|(?:the )?following|this (?:section|chapter|page|"
    r"document|manual|way|case)|these|see|"
    r"previous|next section|described|aforementioned|like this|like so|for example|the same)\b|[:：]$|[.!?] ?\(",
    re.IGNORECASE,
)  # fmt: skip
_VAGUE_WORDS = (
    "approach alternative way use usage example reason problem solution idea exception advantage disadvantage "
    "drawback case step thing difference result results consequence option choice point note benefit goal question "
    "key variation effect trick fact behavior behaviour value purpose list number lot variety set rest first second "
    "third last only main best better good common typical simple new possible important default what who which how "
    "when where why if all any some most many few several no none everything nothing something someone anyone not "
    "and or but as with without in on at for from by to of than while because since although though before after "
    "during until unless whether once see please user users people code program database application applications "
    "name names type types data text time times parameter nor hence argument limitation limitations recommendation "
    "requirement exceptions syntax answer output input format order rule "
)
_VAGUE = frozenset(_VAGUE_WORDS.split())
_KINDS = (
    "command|function|option|flag|pragma|interface|routine|statement|method|clause|keyword|operator|parameter|"
    "setting|macro|"
    "module|class|attribute|directive|utility|program|tool|package|variable|file|table|view|property|event|"
    "field|header|"
    "script|extension|argument|button|dialog|constant|type|service|daemon|library|API|system call|sub-?command|"
    "subcommand|"
    "environment variable|error code|result code|command-line option|compile-time option|data type|"
    "virtual table|SQL function|configuration option|object|protocol|format|hook"
)
_VERBS = (
    "returns|sets|controls|determines|specifies|enables|disables|causes|creates|removes|deletes|adds|prints|"
    "shows|displays|"
    "lists|reports|provides|allows|lets|makes|converts|computes|changes|opens|closes|reads|writes|registers|"
    "invokes|runs|"
    "executes|checks|verifies|tests|loads|stores|saves|copies|moves|starts|stops|reverses|restores|installs|"
    "configures|"
    "selects|defines|declares|generates|limits|gets|puts|applies|attaches|detaches|merges|updates|inserts|"
    "replaces|records|"
    "tells|waits|blocks|sends|receives|binds|overrides|extracts|parses|evaluates|prevents|forces|handles|"
    "manages|scans|"
    "searches|finds|sorts|clears|resets|initializes|initialises|frees|destroys|compiles|prepares|encodes|"
    "decodes|formats|"
    "indicates|represents|contains|holds|implements|calculates|rebuilds|reclaims|renames|splits|joins|combines|"
    "compares"
)
_IMPERATIVES = (
    "use|run|set|call|add|type|enter|click|choose|select|press|specify|create|invoke|execute|install|edit|open|enable|"
    "disable|compile|write|issue|pass|put|configure|change|remove|delete|insert|append|include|define|check|look|"
    "simply|just|you (?:can|must|need to|should|may|have to)|one (?:can|must|should)"
)
_CODE = r"(?:--?)?[A-Za-z_.~/$%@][\w./+*$@%:-]*(?:\(\d?\)|\(\))?"
_TERM = rf"{_CODE}(?: {_CODE}){{0,4}}(?: \(\w+\))?"
_QUOTE = r"[\"'`“”‘’*_]*"

_DEFINITION = re.compile(
    rf"(?P<article>An? |The )?{_QUOTE}(?P<term>{_TERM}){_QUOTE} (?P<verb>is|are) "
    r"(?P<what>(?:an?|the|any|one of the|usually an?|basically an?) .+)$"
)
_PURPOSE = re.compile(
    rf"(?:The )?{_QUOTE}(?P<term>{_CODE}(?: {_CODE}){{0,2}}?){_QUOTE}(?: (?P<kind>{_KINDS}))? "
    rf"(?P<what>(?:{_VERBS}) .+)$"
)
_USED = re.compile(
    rf"(?:The )?{_QUOTE}(?P<term>{_CODE}(?: {_CODE}){{0,2}}?){_QUOTE}(?: (?P<kind>{_KINDS}))? "
    r"(?P<used>is|are|can be|may be) used (?P<what>(?:to|for) .+)$"
)
_DEFAULT = re.compile(
    r"(?:The |By default,? the )default (?P<what>(?!is\b)[\w \"'`“”().:/+-]{3,60}?) is (?P<value>(?!to\b)"
    r"[^;]{1,120}?)$",
    re.IGNORECASE,
)
_DEFAULTS_TO = re.compile(rf"(?:The )?{_QUOTE}(?P<term>{_TERM}){_QUOTE} defaults to (?P<value>[^;,]{{1,100}}?)$")
_HOW = re.compile(
    rf"(?:In order to|To) (?P<goal>(?!be\b|this\b|that\b)[a-z]+ [^,;:]{{8,90}}), (?P<way>(?:please )"
    rf"?(?:{_IMPERATIVES}) .+)$"
)
_FULL = re.compile(
    r"(?P<full>[A-Z][\w-]+(?:[ -](?:(?:of|and|the|for|to|in|on) )?[\w-]+){1,6})"
    r" ?\((?P<short>[A-Z][A-Za-z]{1,5}[A-Z]|[A-Z]{2})s?\)"
)
_MOST = re.compile(
    r"The (?P<what>(?:default )?(?:maximum|minimum|max|min|largest|smallest|longest|highest|lowest|upper|lower)"
    r" (?!of\b)[\w \"'`()/-]{3,90}?) (?:is|are) (?:currently |always |limited to )?(?P<value>[^;]{1,100}?)$",
    re.IGNORECASE,
)
_SHORT = re.compile(r"\b(?P<short>[A-Z]{2,6}) ?\((?P<full>[A-Z][\w-]+(?:[ -][\w-]+){1,6})\)")
_STANDS = re.compile(r"\b(?P<short>[A-Z]{2,8}) (?:stands for|is short for|is an abbreviation (?:of|for))"
                     r" \"?(?P<full>[\w -]{5,80}?)\"?(?=[.,;)]|$)")  # fmt: skip
_SINCE = re.compile(
    rf"(?:The )?{_QUOTE}(?P<term>{_TERM}){_QUOTE}(?: (?P<kind>{_KINDS}))? (?P<be>was|were) (?:first )?"
    r"(?P<verb>released|introduced|added|founded|published|removed|deprecated|adopted|standardized|created) "
    r"(?:in|on|with|as of|beginning with|starting with) (?P<when>(?:[\w.]+ )?version [\w.]*\d(?: ?\([\d-]+\))?|"
    r"(?:\w+ )?(?:\d{1,2},? )?(?:19|20)\d\d(?:-\d\d-\d\d)?|[A-Z]\w+ \d+(?:\.\d+)+)"
)
_COUNT = re.compile(
    r"There are (?:currently |basically |exactly )?(?P<n>two|three|four|five|six|seven|eight|nine|ten|eleven|"
    r"twelve|\d{1,4}) "
    r"(?:different |distinct |basic |possible )?(?P<what>(?:types|kinds|forms|modes|levels|classes|categories|"
    r"flavors|states|"
    r"stages|methods|variants|sorts) (?:of|for|in) [\w \"'`-]{4,60}?)(?:[:,.(]|$)"
)
_QUESTION = re.compile(
    r"(?:how (?:do|does|can|should|is|are|many|much|to)|what|why (?:do|does|is|are|did|can|should)|when|where|"
    r"who|which|is|are|"
    r"can|does|do|should|will) .+\?$",
    re.IGNORECASE,
)
_BEGINS_BACK = re.compile(
    r"(?:this|that|these|those|it|they|such|see|we|let|although|in this|as|you (?:may|might)|yes\.?$|no\.?$)\b",
    re.IGNORECASE,
)
_DESCRIBES = re.compile(rf"(?:{_VERBS}) .{{8,}}", re.IGNORECASE)
_NO_NAME = re.compile(r"^\w+ing\b|\b(?:an?|the|whenever|while|because|since|use)\b", re.IGNORECASE)
_PERSON = re.compile(
    r"an? (?:[A-Z]\w+(?:ian|ish|ese|can|man)|person|man|woman|developer|programmer|professor|"
    r"engineer)\b"
)
_SUPERLATIVE = re.compile(r"the (?:most|least|best|only|same|first|last|next|\w+iest|\w+est)\b")
_ASIDE = re.compile(r",? (?:so|but|which|because|unless|since|although|though)\b.*$")
_NO_VALUE = re.compile(
    r"(?:not|that|this|now|also|it|they|then|for|in|on|by|as|when|\w+ed|set|only|often|usually|generally|"
    r"sometimes|further|\w+ly|what|how|if|and|or)\b|.* (?:is|are) ",
    re.IGNORECASE,
)
_MEASURES = re.compile(
    r"\b(?:default|values?|settings?|the|of|for|in|an?|number|maximum|minimum|size|length|highest|lowest|"
    r"largest|smallest|"
    r"recorded|allowed|possible|upper|lower|max|min|limit|bound)\b",
    re.IGNORECASE,
)


def of_sentence(sentence: str, passage: Passage, *, first: bool) -> Iterator[Found]:
    """What one sentence answers."""
    text = sentence.strip()
    said = text.rstrip(".").strip() if text.endswith(".") and not text.endswith("..") else text
    if len(said.split()) < 4 or not said[:1].isalnum() and said[0] not in "-`\"'“*_/$~":
        return
    if text[-1:] not in (".", ")", "”", '"'):
        return
    yield from _definitions(said, passage, first)
    yield from _purposes(said, passage)
    yield from _values(said, passage)
    yield from _hows(said, passage)
    yield from _facts(said, passage)
    yield from _abbreviations(said)


def of_heading(passage: Passage, opening: str) -> Iterator[Found]:
    """A heading that asks, answered by what stands first under it."""
    heading = passage.heading
    pointing = re.sub(r"\b(?:I|you|my|your|one|us|we|our)\b", "", heading)
    if _QUESTION.match(heading) and len(heading.split()) > 3 and not _ANAPHORA.search(pointing):
        told = {word for word in words(opening) if len(word) > 3}
        if (
            not _POINTS_AWAY.search(opening)
            and not _BEGINS_BACK.match(opening)
            and told & set(words(heading))
            and _answers(heading, opening)
        ):
            yield Found("heading", heading, opening, heading)


def _answers(heading: str, opening: str) -> bool:
    """Whether what stands first looks like an answer to this kind of question."""
    asked = heading.split(" ", 1)[0].lower()
    if asked == "why":
        return bool(re.search(r"\b(?:because|since|so that|due to|in order to|reason|to avoid)\b", opening))
    if asked in ("is", "are", "can", "does", "do", "should", "will"):
        return bool(
            re.match(r"(?:yes|no|not|it (?:depends|can|is|does)|you (?:can|should|may))\b", opening, re.IGNORECASE)
        )
    if asked == "how":
        return bool(re.match(rf"(?:{_IMPERATIVES}|by|first|there (?:are|is)|with)\b", opening, re.IGNORECASE))
    return asked == "what" and bool(re.search(r"\b(?:is|are|means|refers to)\b", opening))


def of_description(passage: Passage, opening: str) -> Iterator[Found]:
    """What stands under a name and begins with a verb: "Returns the absolute value."."""
    name = _clean(passage.heading)
    match = _DESCRIBES.match(opening)
    if match and " " not in name.split("(")[0].strip() and _named(name, passage) and not _POINTS_AWAY.search(opening):
        yield Found("description", f"What does {name} do?", opening.rstrip("."), f"{name}: {opening}")


def _definitions(said: str, passage: Passage, first: bool) -> Iterator[Found]:
    match = _DEFINITION.match(said)
    if not match:
        return
    term, what = _clean(match["term"]), match["what"]
    article = (match["article"] or "").strip().lower()
    tokens = term.lower().split()
    if (
        len(what.split()) < 4
        or _SUPERLATIVE.match(what)
        or _ANAPHORA.search(term)
        or _POINTS_AWAY.search(what)
        or not tokens
    ):
        return
    if _NO_NAME.search(term) or _PERSON.match(what):
        return
    if any(token in _VAGUE for token in (tokens[0], tokens[-1])) or any(token in ("is", "are") for token in tokens):
        return
    known = _named(term, passage) or _in_headings(term, passage)
    if article in ("a", "an"):
        if len(tokens) > 3 or not re.match(r"an?|any|the", what) or (len(tokens) == 1 and not (first or known)):
            return
        yield Found("definition", f"What is {article} {_lowered(term, passage)}?", what, said)
    elif (
        known
        and not (article == "" and "`" not in said and tokens == [term] and not _named(term, passage))
        and (article != "the" or len(tokens) > 1 or _in_headings(term, passage))
    ):
        the = "the " if article == "the" else ""
        yield Found("definition", f"What {match['verb']} {the}{_marked(_lowered(term, passage), said)}?", what, said)


def _purposes(said: str, passage: Passage) -> Iterator[Found]:
    for pattern, ask in ((_USED, "used"), (_PURPOSE, "does")):
        match = pattern.match(said)
        if not match:
            continue
        term, kind, what = _clean(match["term"]), match["kind"] or "", match["what"]
        if _ANAPHORA.search(term) or not _named(term, passage) or len(what.split()) < 5 or _POINTS_AWAY.search(what):
            return
        if _NO_NAME.search(term):
            return
        if not kind and (" " in term or not re.search(r"[_()]|^-|^[A-Z]{3,}$", term)):
            return
        if term.lower().split()[0] in _VAGUE or re.search(r"\b(?:is|are|was|and|or|that|which)\b", term):
            return
        term = _marked(term, said)
        called = f"the {term} {kind}" if kind else term
        if ask == "used":
            be = match["used"]
            question = (
                f"What {be} {called} used for?" if be in ("is", "are") else f"What {be[:-3]} {called} be used for?"
            )
        else:
            question = f"What does {called} do?"
            if ask == "does" and re.match(r"(?:contains|holds|represents|indicates)\b", what):
                verb, what = what.split(" ", 1)
                question = f"What does {called} {verb[:-1]}?"
        yield Found("purpose", question, what, said)
        return


def _values(said: str, passage: Passage) -> Iterator[Found]:
    match = _DEFAULT.match(said)
    if match and _specific(match["what"], passage) and _valued(match["value"]):
        yield Found("default", f"What is the default {match['what']}?", _ASIDE.sub("", match["value"]), said)
    match = _DEFAULTS_TO.match(said)
    if (
        match
        and _named(match["term"], passage)
        and not _ANAPHORA.search(match["term"])
        and _valued(match["value"])
        and not match["value"].startswith(("a ", "an "))
    ):
        yield Found("default", f"What does {_clean(match['term'])} default to?", _ASIDE.sub("", match["value"]), said)
    match = _MOST.match(said)
    if match and re.search(r"\d", match["value"]) and _specific(match["what"], passage) and _valued(match["value"]):
        if not re.search(r"\d", match["value"][:30]) or not (
            _named(match["what"], passage) or re.search(r" (?:of|for|in) ", match["what"])
        ):
            return
        be = "are" if " are " in said[: match.start("value")] else "is"
        yield Found(
            "limit",
            f"What {be} the {match['what'][0].lower()}{match['what'][1:]}?",
            _ASIDE.sub("", match["value"]),
            said,
        )


def _hows(said: str, passage: Passage) -> Iterator[Found]:
    match = _HOW.match(said)
    if not match:
        return
    goal, way = match["goal"], match["way"]
    plain = re.sub(r"\byour?\b", "", goal)
    if (
        _ANAPHORA.search(plain)
        or _POINTS_AWAY.search(way)
        or len(way.split()) < 3
        or re.search(r"\b(?:this|that) \w+", way)
    ):
        return
    over = {word for heading in passage.headings for word in words(heading)}
    if not _named(goal, passage) and sum(word in over for word in words(goal) if len(word) > 3) < 2:
        return
    yield Found("how", f"How do you {goal}?", way, said)


def _facts(said: str, passage: Passage) -> Iterator[Found]:
    match = _SINCE.match(said)
    if match and _named(match["term"], passage) and not _ANAPHORA.search(match["term"]):
        the = "the " if match["kind"] or said.startswith("The ") else ""
        called = f"{the}{_clean(match['term'])}{' ' if match['kind'] else ''}{match['kind'] or ''}"
        asked = "In which version" if re.search(r"version|\.\d", match["when"]) else "When"
        yield Found("date", f"{asked} {match['be']} {called} {match['verb']}?", match["when"], said)
    match = _COUNT.match(said)
    if match and not _ANAPHORA.search(match["what"]) and " to " not in match["what"]:
        counted = re.split(r" (?:of|for|in) ", match["what"], maxsplit=1)[1].strip()
        if len(counted.split()) < 2 and not _in_headings(counted, passage):
            return
        yield Found("count", f"How many {match['what'].strip()} are there?", match["n"], said)


def _abbreviations(said: str) -> Iterator[Found]:
    for pattern in (_STANDS, _FULL, _SHORT):
        for match in pattern.finditer(said):
            full = spelled(match["short"], match["full"])
            if full:
                yield Found("abbreviation", f"What does {match['short']} stand for?", full, said)


def spelled(short: str, full: str) -> str:
    """The end of `full` whose initials are the letters of an abbreviation, or nothing: a pair by chance is no pair."""
    parts = [(m.start(), m[0]) for m in re.finditer(r"[A-Za-z][a-z]*|\d+", full)]
    letters = [letter for letter in short.lower() if letter.isalnum()]
    for at in range(len(parts)):
        wanted = list(letters)
        for _, part in parts[at:]:
            if wanted and part[0].lower() == wanted[0]:
                wanted.pop(0)
            elif part.lower() not in ("of", "and", "the", "for", "to", "in", "on", "a", "or"):
                wanted = [*letters, "?"]
                break
        if not wanted and parts[at][1][0].lower() == letters[0]:
            return full[parts[at][0] :]
    return ""


def _named(term: str, passage: Passage) -> bool:
    """Whether a term is a name: it looks like one, or the document never writes it with a small letter."""
    for token in term.split():
        if re.search(r"[\d_()./$~@]|^--?\w|\w[A-Z]|^[A-Z]{2,}$", token):
            return True
        if token[0].isupper() and len(token) > 2 and token.lower() not in passage.common | _VAGUE:
            return True
    return False


def _in_headings(term: str, passage: Passage) -> bool:
    over = {stem for heading in passage.headings for word in words(heading) for stem in (word, word.rstrip("s"))}
    return all(word in over or word.rstrip("s") in over for word in words(term))


def _specific(what: str, passage: Passage) -> bool:
    """Whether a value is one of something: "page size", not "value"."""
    tokens = _MEASURES.sub("", what).split()
    telling = [token for token in tokens if token.lower() not in _VAGUE]
    return (
        any(re.search(r"[A-Za-z]{3}", token) for token in telling)
        and not _ANAPHORA.search(what)
        and (len(tokens) > 1 or _named(what, passage))
    )


def _valued(value: str) -> bool:
    return not _POINTS_AWAY.search(value) and not _NO_VALUE.match(value)


def _clean(term: str) -> str:
    return term.strip("\"'`“”‘’*_ ,") if not term.endswith("_") else term.strip("\"'`“”‘’* ,")


def _marked(term: str, said: str) -> str:
    """The term between backticks where the sentence has it so."""
    return f"`{term}`" if f"`{term}`" in said else term


def _lowered(term: str, passage: Passage) -> str:
    """The term as it stands inside a sentence: a common word loses its capital."""
    first = term.split(" ", 1)[0]
    common = first[1:].islower() and first.lower() in passage.common and first not in passage.proper
    return term[0].lower() + term[1:] if common else term
