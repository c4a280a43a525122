"""The layers of the networks; `training.model` lists them by name and builds them."""
