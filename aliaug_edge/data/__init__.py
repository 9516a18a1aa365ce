"""Data: folders of photos and masks, read as plain samples that know their part and their split.

`reader` finds the layout (`mvtec`, `aliaug`, `folders`), `groups` and `splits` say what may be
learned from, `load` decodes, `check` lists every problem, `notes` what should be known. `inpaint`
takes a defect away; `make` and `procedural` draw photos of parts that never existed. Numpy and
Pillow alone: both halves use it.
"""
