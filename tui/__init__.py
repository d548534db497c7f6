"""The terminal interface of trimtab: the command line and the cockpit. Never imports torch."""
