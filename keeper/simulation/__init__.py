"""The chain that tests and the demo run on, the driver that moves its markets, and the demo."""
