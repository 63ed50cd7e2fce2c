"""What several passes build with: units, pools, decoders, state machines."""
