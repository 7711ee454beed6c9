"""What goes in, by the project file: documents, examples, sites and tables, and how they are cleaned, cut and split."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from slipway.i18n import t
from slipway.project.fields import Bytes, Name, Network, Seconds, Strict, WebAddress

_OCR = r"^([a-z]{3}(_[a-z]+)*(\+[a-z]{3}(_[a-z]+)*)*)?$"  # as tesseract names languages


class DocumentSource(Strict):
    """Files that become documents: a path or glob relative to the project; `**` crosses folders."""

    path: str
    exclude: list[str] = []
    language: str | None = None  # given, not guessed
    base: str = ""  # what sources are named relative to; default the project folder
    ocr: str = Field(default="", pattern=_OCR)  # languages in which pictures of text are read, such as eng+chi_sim


class ExampleSource(Strict):
    """Files of examples: JSONL, CSV or Parquet. `fields` maps our names to the file's columns."""

    path: str
    split: Literal["train"] | None = (
        None  # all of them are to learn from: none is measured, and no split changes by them
    )
    fields: dict[str, str] = {}  # those of the task, and source, language, group


class SiteSource(Strict):
    """Web pages from an address on, as `slipway data fetch` keeps them. Docs: collecting."""

    url: WebAddress
    within: list[WebAddress] = []  # beginnings of addresses; default the folder of `url`
    exclude: list[WebAddress] = []  # beginnings of addresses that are not fetched
    sitemap: bool = True
    addresses: list[Network] = []  # private networks, such as 10.0.0.0/8, that its hosts may lie in
    contact: str = Field(default="", pattern=r"^[ -~]*$", max_length=200)  # told to the server: an e-mail address
    language: str | None = None
    delay: Seconds = Field(default=1.0, ge=0)  # between two requests to a host; robots.txt may ask for more
    max_pages: int = Field(default=1000, ge=1, le=1_000_000)
    max_bytes: Bytes = Field(default=500e6, gt=0)
    max_depth: int = Field(default=10, ge=0)  # links from `url`
    max_time: Seconds = Field(default=3600.0, gt=0)
    timeout: Seconds = Field(default=60.0, gt=0)  # for one answer as a whole


class TableSource(Strict):
    """Rows of a database, as `slipway data fetch` keeps them. Docs: collecting."""

    url_env: str  # the environment variable that holds the SQLAlchemy address of the database
    query: str = Field(min_length=1)
    language: str | None = None
    max_rows: int = Field(default=100_000, ge=1)
    timeout: Seconds = Field(default=60.0, gt=0)


class CleanConfig(Strict):
    """How documents are cleaned; what is dropped or changed is counted with its reason."""

    boilerplate: bool = True  # drop navigation, footers, cookie banners of HTML
    min_chars: int = Field(default=20, ge=0)
    near_duplicates: float | None = Field(default=0.9, gt=0, le=1)  # Jaccard similarity of word 5-shingles; None: keep
    languages: list[str] = []  # keep only these; empty: all
    outliers: bool = True  # flag (never drop) documents whose length or character mix is far from the rest


class ParseLimits(Strict):
    """What one document may take; beyond it the document is refused and the rest goes on."""

    max_file: Bytes = 50e6
    max_text: Bytes = 20e6  # characters of text after parsing
    max_memory: Bytes = 1.5e9
    timeout: Seconds = 60.0
    ocr_timeout: Seconds = 1800.0  # for a document that may be read from pictures


class ChunkConfig(Strict):
    """Heading-aware passages: sizes in characters (a CJK character counts as 2.5: it carries that much)."""

    max_chars: int = Field(default=900, ge=100, le=20000)
    min_chars: int = Field(default=200, ge=0)
    overlap: int = Field(default=0, ge=0)


class SplitConfig(Strict):
    """Shares of the splits; a group is never divided between them."""

    train: float = Field(default=0.4, ge=0, le=1)
    dev: float = Field(default=0.3, ge=0, le=1)
    gate: float = Field(default=0.3, ge=0, le=1)
    reserve: float = Field(default=0.0, ge=0, le=1)  # kept unseen until `slipway gate rotate` makes it the gate
    seed: int = 7
    group_by: str | None = None  # an example field or meta key; None: each example its own group

    @model_validator(mode="after")
    def _sum(self) -> SplitConfig:
        total = self.train + self.dev + self.gate + self.reserve
        if abs(total - 1) > 1e-6:
            raise ValueError(t("train + dev + gate + reserve must be 1, not {sum:g}", sum=total))
        return self


class DataConfig(Strict):
    """What goes in, and how it is cleaned, cut and split."""

    roots: list[str] = []  # folders outside the project that documents and examples may lie in
    documents: list[DocumentSource] = []
    sites: dict[Name, SiteSource] = {}
    tables: dict[Name, TableSource] = {}
    examples: list[ExampleSource] = []
    sample: int | None = Field(default=None, ge=1)  # for a first look: so many files; nothing is released then
    clean: CleanConfig = CleanConfig()
    limits: ParseLimits = ParseLimits()
    chunk: ChunkConfig = ChunkConfig()
    split: SplitConfig = SplitConfig()

    @model_validator(mode="after")
    def _names(self) -> DataConfig:
        twice = sorted(self.sites.keys() & self.tables.keys())
        if twice:
            raise ValueError(t("'{name}' names a site and a table; rename one", name=twice[0]))
        return self

    @property
    def fetched(self) -> dict[str, SiteSource | TableSource]:
        """What `slipway data fetch` brings, by name."""
        return {**self.sites, **self.tables}

    @property
    def has_documents(self) -> bool:
        """Whether there is anything to read."""
        return bool(self.documents or self.sites or self.tables)
