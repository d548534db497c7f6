"""What we add to the Hugging Face Trainer: whole checkpoints, live commands, events, true throughput, guards.

Works on any Trainer subclass (the stages bring the loss); writes only to the run directory.
"""
