"""A test that passes but logs an ERROR, or prints a traceback, fails all the same."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_trouble_in_the_log_fails_a_test(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text("utf-8"))
    pytester.makepyfile(
        """
        import logging, sys, threading, traceback

        def test_quiet(): logging.warning("ERROR is only a word here")
        def test_error(): logging.error("lost")
        def test_logged_exception():
            try: raise OSError
            except OSError: logging.info("noted", exc_info=True); logging.exception("gone")
        def test_printed_traceback():
            try: raise OSError
            except OSError: traceback.print_exc()
        """
    )
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xvfb")
    outcome.assert_outcomes(passed=1, failed=3)
    outcome.stdout.fnmatch_lines(["*test_error passed, but said: ERROR*lost*"])
