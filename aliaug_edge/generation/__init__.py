"""Good image + mask + defect class → the same image with that defect in that place.

`request` says what to make, `part` and `placement` where, `sample` cuts the crop and goes through
the steps of one request: `pipeline` runs the model, `judging` keeps or rejects its raw output (the
two plain limits are in `quality`, those of real defects in the room `quality`), `blend` puts it
back. `run` does this for a whole dataset in a `folder` that can be continued, `assemble` ends it.
"""
