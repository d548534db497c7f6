"""The logic of forms without a screen: values, changes, undo, search, checks, what a run will come to. No Textual here.

`FormModel` in `model` is the centre; the other modules read it.
"""
