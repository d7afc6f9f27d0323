"""Preference data: files and rows in the public layouts, read into checked records."""

from __future__ import annotations

from penchant.data.read import Preferences, Reading, read_preferences

__all__ = ["Preferences", "Reading", "read_preferences"]
