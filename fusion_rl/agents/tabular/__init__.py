"""Agents that keep a table in place of a network: Q-learning and bandits."""
