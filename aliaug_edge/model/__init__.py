"""The one-step generator in PyTorch: encode → one denoising step → decode with skips."""
