"""Tests of `trainer.data`, through its public names."""
