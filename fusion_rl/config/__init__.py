"""What the user asks for: network, scenarios, algorithm, reward, execution; checked and frozen."""
