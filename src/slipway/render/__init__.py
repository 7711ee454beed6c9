"""What Slipway shows of its nouns, in one layer: pages make a document of a noun, writers make text of a document.

`pages`: one function for everything a command or a report shows; `document`: the parts there are; `cells`: how a
number, a time, a digest is written, in this place only. Writers (`text`, `markdown`, `csv`, `json`) know parts and
cells and no noun, so a new form is one more writer. Prints nothing, reads nothing.
"""
