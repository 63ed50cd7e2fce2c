"""The commercial Luraph service as an engine: it takes the network, so it is not part of the compiler."""
