# SPDX-License-Identifier: Apache-2.0
"""Takes Silero's model from its package, made/silero_vad.onnx, and has eSpeak speak sample.wav."""

import ctypes
import shutil
import wave
from importlib.metadata import distribution
from pathlib import Path

import espeakng_loader
import numpy

RATE = 16000
SAYS = ("Where is the sound in this recording?", "It is here, and it was not there before.")
SILENT, SYNCHRONOUS, UTF_8 = 0.8, 2, 1    # seconds; eSpeak's numbers

ARRIVED = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int,
                           ctypes.c_void_p)


class Speaker:
    def __init__(self):
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.rate = self.library.espeak_Initialize(
            SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
        self.pieces = []
        self.arrived = ARRIVED(self.keep)
        self.library.espeak_SetSynthCallback(self.arrived)

    def keep(self, samples, count, events):
        if samples and count:
            self.pieces.append(numpy.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, text):
        """Samples at RATE."""
        self.pieces.clear()
        text = text.encode()
        self.library.espeak_Synth(text, len(text) + 1, 0, 1, 0, UTF_8, None, None)
        spoken = numpy.concatenate(self.pieces)
        return numpy.interp(numpy.arange(0, len(spoken), self.rate / RATE),
                            numpy.arange(len(spoken)), spoken)


here = Path(__file__).parent
(here / "made").mkdir(exist_ok=True)
# A file of the package, which is not imported: that would want torch.
shutil.copyfile(distribution("silero-vad").locate_file("silero_vad/data/silero_vad_16k_op15.onnx"),
                here / "made" / "silero_vad.onnx")

speaker, silence = Speaker(), numpy.zeros(int(SILENT * RATE))
sound = [silence]
for sentence in SAYS:
    at = sum(map(len, sound)) / RATE
    sound += [speaker.say(sentence), silence]
    print(f"from {at:.1f} s: {sentence}")
sound = numpy.concatenate(sound)
sound += numpy.random.default_rng(0).normal(0, 30, len(sound))    # no microphone is silent
with wave.open(str(here / "sample.wav"), "wb") as file:
    file.setparams((1, 2, RATE, 0, "NONE", ""))
    file.writeframes(sound.clip(-32768, 32767).astype("<i2").tobytes())
print(f"sample.wav: {len(sound) / RATE:.1f} s")
