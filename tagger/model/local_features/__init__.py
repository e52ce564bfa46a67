"""Local features: does some photo of the landmark show the same points, moved alike?"""
