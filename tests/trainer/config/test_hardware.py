"""Which GPUs a run would see."""

from trainer.config import Hardware
from trainer.config.hardware import visible


def test_detection_answers_on_any_machine() -> None:
    found = Hardware.detect()
    assert found.cpu_cores >= 1
    assert found.cuda == (found.gpu_count > 0)
    assert found.cuda or not found.bf16


def test_cuda_visible_devices_hides_gpus() -> None:
    assert visible([9, 7, 8], None) == [9, 7, 8]
    assert visible([9, 7, 8], "1,2") == [7, 8]
    assert visible([9, 7, 8], "") == []
    assert visible([9, 7, 8], "0,-1,2") == [9]
    assert visible([9, 7, 8], "GPU-8a7b") == [9]
