"""How a request comes off the wire, and its answer back on."""
