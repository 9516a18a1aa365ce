"""A GPU in numpy: CUDA's driver and TensorRT's runtime as small state machines that compute.

They speak the real names and keep the real rules, and a broken rule is an error of the test, never
something that the code under test could handle. What a GPU would only show now and then (a race, a
freed address, a stale graph) is found every time.
"""
