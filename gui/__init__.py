"""The window: what a person sees of a room.  It draws what the core says and hands the core what a person wants.

`psg` is the only module that imports PySimpleGUI; `safetext`, `theme`, `events` and the controller import no
toolkit at all; `view/` holds the pages, built on `view/kit.py`.
"""
