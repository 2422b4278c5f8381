"""The CTC loss as a differentiable function of PyTorch, TensorFlow and JAX.

Each module has the signature of the framework's own loss and imports the framework when it is called. The loss and its
gradient are computed together on the CPU, in double precision; tensors elsewhere travel there and back.
"""
