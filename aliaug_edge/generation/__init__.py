"""Good image + mask + defect class → the same image with that defect in that place.

`request` says what to make, `prepare` decides where and cuts the crop, `pipeline` runs the model,
`quality` judges its raw output, `blend` puts it back, `run` does this for a whole dataset.
"""
