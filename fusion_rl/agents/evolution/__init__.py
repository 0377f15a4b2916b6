"""Agents whose decisions are a score's, with parameters found by evolution."""
