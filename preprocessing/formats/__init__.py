"""One module for each picture format: what its header says, and how OpenCV is to decode it.

    body --opened--> Picture(width, height, raster) --raster()--> (h, w), (h, w, 3) or (h, w, 4)

`opened` reads a few bytes and allocates nothing; NotAPicture if it cannot, or if decoding could
take longer than the picture's size allows. Knows nothing of limits: those are `decode`'s.
"""
