"""The interface of ``flashlight.lib.text`` (flashlight-text 0.0.7): dictionaries and decoders for CTC."""
