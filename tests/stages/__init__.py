"""Every stage with every kind of method: a table of what must hold for each. Losses are in tests/trainer/stages."""
