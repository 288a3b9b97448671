"""Classifiers as other people write and train them, in plain PyTorch.

Nothing in this folder imports another part of frami: the suite ``foreign`` adopts what is trained
here, as a user adopts a network of their own.

    train           train one of the networks, from the command line
    features        spectrograms in torch
    panns           Cnn10 and Cnn14, on waveforms
    mobilenet       EfficientAT's MobileNetV3
    bcresnet        BC-ResNet
    dscnn           the keyword spotter of MLPerf Tiny, on MFCC
    ecapa           ECAPA-TDNN, on waveforms
    transformer     Audio Spectrogram Transformer, without batch norm
    plaincnn        four convolutions, three batch norms

Each network module has ``esc10()`` and ``fsdd()``, which build the small networks of the suite.
"""
