"""Normalises handwritten digits on any background to the form of MNIST.

    raster --background--> ink --segmentation--> digit --stroke--> strokes of usual width

`normalize` runs these steps and centres the result in 28x28 pixels.
"""
