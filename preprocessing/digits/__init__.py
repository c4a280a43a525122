"""Handwritten digits on any background -> digits as in MNIST.

    raster --background--> ink --segmentation--> digit --stroke--> strokes of usual width

`normalize` runs these steps and centres the result on a sheet of 28x28.
"""
