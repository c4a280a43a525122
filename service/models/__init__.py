"""Model versions: read from the store, proven, loaded, switched under load and unloaded."""
