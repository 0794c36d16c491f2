"""Results where people keep theirs: TensorBoard, Weights & Biases, trackio. Each is an extra, imported on demand."""
