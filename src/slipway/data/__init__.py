"""From files to frozen datasets: documents, the chunks cut from them, and examples split into train, dev and gate.

Public verbs: `documents.make_documents`, `chunks.make_chunks`, `examples.make_examples`; `inspection` looks into a
dataset. Knows no model, no prompt and no other stage.
"""
