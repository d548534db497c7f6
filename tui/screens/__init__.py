"""The screens of the cockpit, one file a screen."""
