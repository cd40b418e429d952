"""What decides whether a message can be accepted and sent, the same for whoever previews, checks, accepts or sends."""
