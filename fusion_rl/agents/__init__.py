"""Agents that learn: Stable-Baselines3's algorithms, chosen by name."""
