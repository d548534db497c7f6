"""Models: loading weights and tokenizer, choosing what is trained (full, freeze, LoRA), counting parameters."""
