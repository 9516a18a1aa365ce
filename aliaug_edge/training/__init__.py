"""Training: pretraining of the tiny base, and LoRA fine-tuning on a handful of defects."""
