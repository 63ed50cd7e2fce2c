"""The commercial Luraph service as an engine: it takes the network, so it is no part of the compiler."""
