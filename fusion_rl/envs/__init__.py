"""The simulator as a gymnasium environment (one lane) and as a Stable-Baselines3 VecEnv (many)."""
