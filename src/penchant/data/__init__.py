"""Preference data: files and rows in the public layouts, read into checked records."""

from __future__ import annotations

from penchant.data.read import Preferences, Reading, read_lists, read_preferences
from penchant.data.rows import ReadRow, read_rows

__all__ = ["Preferences", "ReadRow", "Reading", "read_lists", "read_preferences", "read_rows"]
