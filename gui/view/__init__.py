"""The pages of the window, built on `kit`.  Each page draws what it is given and emits intents of `gui/events.py`."""
