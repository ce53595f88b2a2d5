"""What single channels respond to: activation maps and activation maximisation."""
