"""Training of encoder-decoders: the base in torch, a small one made from nothing, and the files they become."""
