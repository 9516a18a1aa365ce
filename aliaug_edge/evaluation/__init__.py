"""Evaluation: is a generated defect what it was asked to be?"""
