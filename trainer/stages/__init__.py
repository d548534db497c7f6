"""The stages: each builds the trainer with its loss from a recipe, a model and prepared data."""
