"""Text to tree and back: lexer, parser, rewriter, printer."""
