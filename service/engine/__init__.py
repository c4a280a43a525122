"""ONNX Runtime: sessions, execution providers, and the proof of what a model really runs on."""
