"""Optimizers that torch and transformers do not have, in plain torch: GaLore, APOLLO, BAdam, Adam-mini, LOMO, AdaLomo,
and Muon with AdamW.

Their state holds tensors and numbers alone, so that a run resumes bit-exactly and no pickle is ever loaded.
"""
