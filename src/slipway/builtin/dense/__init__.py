"""A dense network over a text's features: trained by Keras, written for LiteRT."""
