"""Which pixels and moments carried an answer: occlusion, Grad-CAM, integrated gradients, and checks of
these."""
