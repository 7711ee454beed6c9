"""One function for everything that is shown: nouns in, a `Document` out. Decides nothing and computes nothing."""
