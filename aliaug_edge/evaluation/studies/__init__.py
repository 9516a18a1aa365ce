"""Questions about the method, each one command with a report.

`mask_size`, `steps`, `lora` and `ablations` look at a generator's answers; `detecting` asks a
detector, by way of `ali-aug evaluate`. `study` and `report` are what all of them share.
"""
