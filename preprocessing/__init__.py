"""Prepares images of any format for a network, for training and the service alike.

    file --decoder--> raster --digits.normalize--> (28, 28) uint8, 0 = paper, 255 = ink

`formats` limits what is decoded, `encoding` encodes prepared pixels as PNG, and
`python -m preprocessing.contact_sheet` shows files next to their prepared pixels. The package knows
no models, data sets or HTTP; of this project it imports only the contract.
"""
