"""What each command of `trimtab` does, one file per group of commands; `arguments.py` has their words."""
