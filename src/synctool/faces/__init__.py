"""Faces: finding them, following them through a shot, cutting face and mouth crops."""
