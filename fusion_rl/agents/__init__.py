"""Agents that learn: Stable-Baselines3's algorithms and our own, chosen by name."""
