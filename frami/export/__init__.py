"""Export of a student: a folder with an ONNX file, its front end, and proof that both are right.

export          frami.export: write the folder, measure, refuse what lost too much
network         the form of a network that exporters take: tensors in, tensors out
onnx_file       that form as an ONNX file; frami.models.onnx_network runs it
store_clips     the clips of a store that calibrate, choose and test
int8            8-bit integers by onnxruntime, with the layers that stay float
tuning          train on against the rounding errors, if 8 bits cost too much
executorch      a program for ExecuTorch
footprint       size, activation memory and latency of a file
agreement       predictions of files, and their accuracy on recordings
package         the front end as a module and a C header, and golden vectors
example         a program that classifies recordings without frami
remarks         warnings on features of the user's own function and on figures of few clips
card            the model card
"""
