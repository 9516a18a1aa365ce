"""Synthetic defects by other means than ours, and by ours: what the conditions differ in."""
