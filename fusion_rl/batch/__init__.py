"""Running things headless."""
