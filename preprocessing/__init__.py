"""Bytes of any image -> the pixels that a network expects, for training and the service alike.

    file --decoder--> raster --digits.normalize--> (28, 28) uint8, 0 = paper, 255 = ink

`formats` holds the limits on what is decoded, `encoding` writes prepared pixels as PNG, and
`python -m preprocessing.contact_sheet` shows files beside what the network sees of them. Knows of
no model, no data set and no HTTP; of this project it imports only the contract.
"""
