"""Every way to fine-tune, trained for a few real steps: a table of cases, and what must hold for each of them."""
