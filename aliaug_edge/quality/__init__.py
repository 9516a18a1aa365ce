"""The failure signatures of an insertion as scores, and their limits, calibrated on real defects.

`planes` prepares a pair of crops, `signatures` scores it, `likeness` says which class it looks
like, `limits` judges the scores, `calibration` finds the limits, `drawn` those of drawn defects,
`broken` makes what they must catch. Numpy alone; nothing here knows a model.
"""
