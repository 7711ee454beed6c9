"""The example project and its corpus: every question names a section that exists and whose words answer it."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from slipway.adapt.candidates import effective
from slipway.builtin.tasks.answer import AnswerTask
from slipway.core.material import Example
from slipway.data.documents import make_documents
from slipway.data.examples import make_examples
from slipway.data.preview import preview
from slipway.data.references import corpus_of
from slipway.project.load import load
from slipway.project.schema import Project
from slipway.store.store import Store
from slipway.text.words import answer_words

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
EXAMPLE = ROOT / "examples" / "docs-assistant"
PAGES = sorted([*DOCS.glob("en/*.md"), *DOCS.glob("zh/*.md")])


def sections(page: Path) -> dict[str, str]:
    """Heading -> what stands under it, up to the next heading; `#` in fenced code is no heading."""
    found: dict[str, list[str]] = {}
    heading, fenced = "", False
    for line in page.read_text("utf-8").splitlines():
        fenced ^= line.startswith("```")
        title = None if fenced else re.fullmatch(r"#{1,6} (.+)", line)
        if title:
            heading = title[1].strip()
            assert heading not in found, f"{page.name}: the heading '{heading}' is there twice"
            found[heading] = []
        elif heading:
            found[heading].append(line)
    return {name: "\n".join(lines).strip() for name, lines in found.items()}


def code_blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


CORPUS = {str(page.relative_to(DOCS)): sections(page) for page in PAGES}
QUESTIONS = [json.loads(line) for line in (EXAMPLE / "evals/questions.jsonl").read_text("utf-8").splitlines()]


def weight(text: str) -> float:
    """Characters, a CJK one counting 2.5, as chunk sizes are counted."""
    return sum(2.5 if "\u2e80" <= char <= "\uffef" else 1.0 for char in text)


def test_there_are_enough_questions_in_both_languages_over_many_sections() -> None:
    languages = Counter(question["language"] for question in QUESTIONS)
    assert len(QUESTIONS) >= 110
    assert languages["zh"] >= 40
    assert set(languages) == {"en", "zh"}
    assert len({question["source"] for question in QUESTIONS}) >= 60
    repeated = [text for text, n in Counter(question["question"] for question in QUESTIONS).items() if n > 1]
    assert not repeated


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["question"][:60])
def test_a_question_names_a_section_whose_words_answer_it(question: dict[str, str | list[str]]) -> None:
    assert set(question) == {"question", "answer", "source", "language"}
    page, _, heading = str(question["source"]).partition("#")
    assert page.startswith(f"{question['language']}/")
    assert heading in CORPUS[page], f"{page} has no heading '{heading}'"
    assert heading != next(iter(CORPUS[page])), "the page's title stands on the path of every passage of the page"
    text = set(answer_words(CORPUS[page][heading] + " " + heading))
    answers = question["answer"] if isinstance(question["answer"], list) else [question["answer"]]
    for answer in answers:
        words = answer_words(answer)
        assert words
        assert sum(word in text for word in words) / len(words) >= 0.8, f"'{answer}' is not said under '{heading}'"


def test_both_languages_have_the_same_pages_with_the_same_structure() -> None:
    english, chinese = ({name[3:] for name in CORPUS if name.startswith(f"{lang}/")} for lang in ("en", "zh"))
    assert english == chinese
    for name in english:
        assert len(CORPUS[f"en/{name}"]) == len(CORPUS[f"zh/{name}"]), name


@pytest.mark.parametrize("language", ["en", "zh"])
def test_headings_are_unique_in_a_language(language: str) -> None:
    headings = Counter(name for page, found in CORPUS.items() if page.startswith(language) for name in found)
    assert [name for name, n in headings.items() if n > 1] == []


def test_a_section_fits_into_one_chunk_of_the_example() -> None:
    project = yaml.safe_load((EXAMPLE / "slipway.yaml").read_text("utf-8"))
    chunk = Project.model_validate(project).data.chunk
    for page, found in CORPUS.items():
        for heading, text in found.items():
            assert 100 <= weight(text) <= chunk.max_chars, f"{page}#{heading}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_and_code_blocks_of_a_page(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.is_file(), f"{page.name} links to {target}"
        if fragment:
            assert fragment in {anchor(heading) for heading in sections(linked)}, f"{page.name} links to {target}"
    for block in code_blocks(page, "json"):
        json.loads(block)
    for block in code_blocks(page, "yaml"):
        value = yaml.safe_load(block)
        if block.startswith("slipway: 1"):
            Project.model_validate(value)


def test_the_project_file_names_files_that_exist_and_splits_that_can_be_judged() -> None:
    project = Project.model_validate(yaml.safe_load((EXAMPLE / "slipway.yaml").read_text("utf-8")))
    for source in project.data.documents:
        assert list(EXAMPLE.glob(source.path)), source.path
    for candidate in project.candidates.values():
        if candidate.prompt:
            assert (EXAMPLE / candidate.prompt).is_file()
        if candidate.model:
            assert candidate.model in project.models
    assert project.gate


@pytest.mark.parametrize("prompt", sorted((EXAMPLE / "prompts").glob("*.md")), ids=lambda path: path.name)
def test_a_prompt_renders_with_what_is_constant_first(prompt: Path) -> None:
    template = ImmutableSandboxedEnvironment(undefined=StrictUndefined).from_string(prompt.read_text("utf-8"))
    passages = [{"n": 1, "source": "en/gate.md", "heading": "Verdicts", "text": "There are three verdicts."}]
    examples = [{"question": "How many rules?", "answer": "one"}]
    first, second = (
        template.render(question=question, passages=passages, examples=examples)
        for question in ("How many verdicts are there?", "Which verdicts are there?")
    )
    assert first != second
    shared = os.path.commonprefix([first, second])
    for text, variable in (("How many rules?", "examples"), ("three verdicts.", "passages")):
        assert (text in shared) == (variable in prompt.read_text("utf-8")), variable
    assert first.endswith("How many verdicts are there?" + second.partition("Which verdicts are there?")[2])


@pytest.mark.slow
def test_no_question_names_what_is_not_there_and_no_split_knows_another(tmp_path: Path) -> None:
    config = load(EXAMPLE / "slipway.yaml").data
    assert preview(config, EXAMPLE, AnswerTask(AnswerTask.Config())) == []
    with closing(Store(tmp_path / "state")) as store:
        documents = make_documents(config, EXAMPLE, store)
        made = make_examples(config, EXAMPLE, store, AnswerTask(AnswerTask.Config()), corpus_of(documents, store))
        gate = [e for e in store.blobs.get_lines(made.items, Example) if e.split == "gate"]
    groups = {example.group for example in gate}
    assert len(groups) >= 60  # sections, whatever the language; 93 of 143 when this was written
    assert sum(any(e.group == g and e.language == "zh" for e in gate) for g in groups) >= 30


def test_the_file_with_a_tuned_candidate_is_the_same_project_otherwise() -> None:
    first, trained = load(EXAMPLE / "slipway.yaml"), load(EXAMPLE / "slipway.train.yaml")
    changed = {"candidates", "models"}
    assert trained.model_dump(exclude=changed) == first.model_dump(exclude=changed)
    assert trained.models.keys() - first.models.keys() == {"tunable"}
    assert {name: trained.models[name] for name in first.models} == first.models
    for name in ("grounded", "quote"):
        assert effective(trained, name) == effective(first, name)
    tuned = effective(trained, "tuned")
    assert tuned.model_copy(update={"model": "writer", "tune": None}) == effective(first, "grounded")
    assert not any(effective(first, name).tune for name in first.candidates)
