"""Labels: a file per format, with `save_x` (samples to files) and `load_x` (files to labels)."""

from aliaug_edge.labels.samples import Label, LabelledImage
from aliaug_edge.labels.writer import FORMATS, write_labels

__all__ = ["FORMATS", "Label", "LabelledImage", "write_labels"]
