"""Pages where visitors earn a key, and the providers behind them."""
