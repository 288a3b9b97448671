"""Export of a student: a folder with an ONNX file, its front end, and proof that both are right.

export          frami.export: write the folder, measure, refuse what lost too much
network         the form of a network that exporters take: tensors in, tensors out
onnx_file       that form as an ONNX file, and the file in onnxruntime
store_clips     the clips of a store that calibrate, choose and test
int8            8-bit integers by onnxruntime, with the layers that stay float
tuning          train on against the rounding errors, if 8 bits cost too much
executorch      a program for ExecuTorch
footprint       size, activation memory and latency of a file
agreement       predictions of files, and their accuracy on recordings
reference       the front end in plain NumPy and its tables as a C header
card            the model card
"""
