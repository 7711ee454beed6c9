"""Questions proposed from the corpus, to be accepted, fixed or refused by a person before anything is measured."""
