"""Does a detector find more, and is a made defect what was asked for? Needs torch.

`run` is `ali-aug evaluate`: `conditions` and `folds` say what is compared on which parts, `leaks`
refuses test photos that were learned from, `protocol` is declared, `pooling` makes the photos of
`pools` with the `generators`, `detecting` trains the detectors of `detector`, `results` keeps their
scores, `statistics` and `report` say what they mean. `judging` is `ali-aug judge`, `studies` is
`ali-aug study`.
"""
