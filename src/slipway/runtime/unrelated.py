"""How near an embedder puts texts that have nothing to do with each other: what counts as no similarity at all.

Encoders differ in that more than in anything else: a cosine of 0.7 is the same subject to all-MiniLM-L6-v2 and means
nothing to multilingual-e5-small, to which all texts are near (anisotropy; Ethayarajh 2019, How contextual are
contextualized word representations, who takes the mean off likewise). So cosines are measured from here.
"""

from __future__ import annotations

from slipway.core.candidate import ModelPin
from slipway.core.protocols import Embeds
from slipway.runtime.vectors import embed_texts
from slipway.store.store import Store

_TEXTS = (  # each about something else
    "When does the museum open on Sundays?",
    "How do I reset my password?",
    "Which fertiliser is best for tomatoes?",
    "Who won the chess tournament?",
    "How long must bread dough rest?",
    "What is the limit on cash withdrawals?",
    "Why does my car make a noise when braking?",
    "Where is the ferry timetable?",
    "The orchestra rehearses on Thursday evenings in the old town hall.",
    "Invoices are payable within thirty days of receipt.",
    "Volcanic ash makes the soil around the lake very fertile.",
    "A patient with a fever should drink plenty of water.",
    "The compiler reports an error when a variable is not declared.",
    "Her grandmother knitted a scarf of blue wool.",
    "Whales breathe through a hole on top of the head.",
    "The court rejected the appeal in March.",
    "Pour the batter into a greased tin and bake it.",
    "The satellite circles the planet every ninety minutes.",
    "Tickets for the match were sold out within an hour.",
    "The roof of the barn was repaired after the storm.",
    "Employees may carry over five days of leave.",
    "The king signed the treaty in the autumn of that year.",
    "Glass is made by melting sand at a high temperature.",
    "The bus stops in front of the library.",
)


async def unrelated(store: Store, pin: ModelPin, engine: Embeds) -> float:
    """A cosine that unrelated texts seldom exceed: their mean and one standard deviation, at least 0. Remembered in the
    store; 0 for an encoder that cannot read the texts.
    """
    import numpy as np

    rows = await embed_texts(store, _TEXTS, pin, engine)
    rows = rows[np.linalg.norm(rows, axis=1) > 0]
    if len(rows) < len(_TEXTS) // 2:
        return 0.0
    cosines = (rows @ rows.T)[np.triu_indices(len(rows), 1)].astype(np.float64)
    return float(np.clip(cosines.mean() + cosines.std(), 0.0, 0.99))
