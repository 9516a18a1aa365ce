"""Export: merged adapters → ONNX graphs, proven equal → a bundle.

`pipeline` is `ali-aug export`, of a run or a base (`sources`): `stages` and `onnx` trace the model,
`half` makes FP16 of it where `ranges` allow, `opset17` rewrites it for older TensorRT, `fuse` joins
the stages, `parity` compares with torch, `weights` stores each weight once.
"""
