"""aliaug-edge: insert named, labelled defects into photos of good parts, in one denoising step."""

__version__ = "0.1.0"
