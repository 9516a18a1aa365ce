"""Export: merged adapters → ONNX graphs, proven equal → a bundle."""
