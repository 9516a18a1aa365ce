"""Training: LoRA fine-tuning on a handful of defects, and pretraining of the tiny base.

`trainer` is `ali-aug train` on the photos of `defects`, `pretrain` is `ali-aug pretrain` on
`procedural_pairs`; both go through `loop`, and each step through `step`, with `losses` and the
`discriminator`.
"""
