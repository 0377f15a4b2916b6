"""Contracts that every catalog entry must meet, and a world small enough to check by hand."""
