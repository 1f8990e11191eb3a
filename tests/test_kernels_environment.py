"""Threads, processes and environment variables: the kernels in processes of their own."""

import os
import shutil
import subprocess
import sys

import pytest

from tinyvision.kernels import jit, threads

ANNOUNCEMENT = "tinyvision: compiling the kernels"


def _run(script, **environment):
    """Run a script in a new process; its output. Keeps the cache of compiled kernels."""
    process = subprocess.run(
        [sys.executable, "-W", "default", "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    errors = [line for line in process.stderr.splitlines() if not line.startswith(ANNOUNCEMENT)]
    return process.stdout + "\n".join(errors)


# Several shapes, so that the work is shared out by images, by channels and by parts.
DIGESTS = """
import hashlib, numpy as np
from tinyvision import kernels
from tinyvision.kernels.windows import Windows
def digest():
    rng, sha = np.random.default_rng(0), hashlib.sha256()
    for N, C, C_out, G, s in [
        (1, 16, 40, 1, 2), (3, 16, 33, 1, 2), (7, 8, 6, 2, 2), (33, 3, 8, 1, 2), (3, 40, 33, 1, 1)
    ]:
        x = rng.standard_normal((N, C, 30, 21)).astype(np.float32)
        w = rng.standard_normal((C_out, C // G, 3, 3)).astype(np.float32)
        geometry = kernels.Geometry((s, 1), (1, 1), groups=G)
        y = kernels.conv2d_forward(x, w, None, geometry)
        results = [y, *kernels.conv2d_backward(y, x, w, geometry, (True, True, True))]
        results += kernels.batch_norm_forward(y.reshape(N, C_out, -1), None, None, 1e-5)
        results += kernels.max_pool2d_forward(
            x, Windows((2, 2), (2, 2), (0, 0), (1, 1), (15, 10)))
        rows = x.reshape(N * C, -1)
        products = kernels.linear_forward(rows, rows, None)
        results += [products, *kernels.linear_backward(products, rows, rows, True, True, True)]
        for a in results:
            sha.update(a.tobytes())
    return sha.hexdigest()
"""


def test_kernels_give_equal_bits_on_any_number_of_threads():
    script = DIGESTS + (
        "digests = []\n"
        "for n in (1, 2, 3, 4):\n"
        "    kernels.set_num_threads(n)\n"
        "    digests.append(digest())\n"
        "assert kernels.get_num_threads() == 4\n"
        "print(len(set(digests)))\n"
    )
    assert _run(script).split() == ["1"]


def test_kernels_run_in_a_forked_child():
    if not hasattr(os, "fork"):
        pytest.skip("no fork on this system")
    script = DIGESTS + (
        "import os\n"
        "kernels.set_num_threads(2)\n"
        "expected = digest()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if digest() == expected and kernels.get_num_threads() == 2 else 1)\n"
        "print(os.waitpid(child, 0)[1])\n"
    )
    assert _run(script, PYTHONWARNINGS="ignore").split() == ["0"]


def test_kernels_run_in_several_python_threads_at_once():
    script = DIGESTS + (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "kernels.set_num_threads(2)\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    digests = set(pool.map(lambda _: digest(), range(12)))\n"
        "print(len(digests))\n"
    )
    assert _run(script).split() == ["1"]


def test_set_num_threads_is_pytorchs():
    before = threads.get_num_threads()
    try:
        threads.set_num_threads(1)
        assert threads.get_num_threads() == 1
        threads.set_num_threads(100)  # more than there are CPUs
        assert threads.get_num_threads() == 100
        with pytest.raises(RuntimeError, match="expected a positive number, but got 0"):
            threads.set_num_threads(0)
        with pytest.raises(TypeError, match="expected an int, but got float"):
            threads.set_num_threads(2.0)
    finally:
        threads.set_num_threads(before)


IS_REFERENCE = (
    "import numpy as np\n"
    "from tinyvision import kernels\n"
    "from tinyvision.kernels import conv\n"
    "print(kernels.conv2d_forward is conv.conv2d_forward_reference)\n"
    "print(kernels.erf(np.zeros(3)).sum())\n"
)


def test_kernels_choice_reference_selects_the_twins():
    assert _run(IS_REFERENCE, TINYVISION_KERNELS="reference").split() == ["True", "0.0"]
    assert _run(IS_REFERENCE, NUMBA_DISABLE_JIT="1").split() == ["True", "0.0"]
    assert _run(IS_REFERENCE, TINYVISION_KERNELS="fast").split() == ["False", "0.0"]


def test_kernels_choice_unknown_raises():
    script = "try:\n    import tinyvision.kernels\nexcept ValueError as error:\n    print(error)\n"
    assert "must be 'fast' or 'reference', but is 'quick'" in _run(
        script, TINYVISION_KERNELS="quick"
    )


def test_kernels_cache_that_cannot_be_written_warns_and_works(tmp_path):
    (tmp_path / "file").write_text("not a directory")
    output = _run(IS_REFERENCE, NUMBA_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert "no directory is writable for compiled kernels" in output
    assert "0.0" in output


def test_kernels_cache_is_used_and_leaves_numbas_setting_alone(tmp_path):
    script = (
        "import numba, numpy as np\n"
        "from tinyvision.kernels import elementwise\n"
        "elementwise.erf(np.zeros(3))\n"
        "print(sum(elementwise._values.stats.cache_hits.values()), numba.config.CACHE_DIR)\n"
    )
    for hits in ("0", "1"):
        output = _run(script, NUMBA_CACHE_DIR=str(tmp_path))
        assert output.split() == [hits, str(tmp_path)]


def test_compiling_is_announced_once(tmp_path):
    script = (
        "import numpy as np\n"
        "from tinyvision import kernels\n"
        "x = np.zeros((3, 3))\n"
        "kernels.relu_forward(x), kernels.relu_forward(x), kernels.softmax_forward(x, False)\n"
    )
    for times in (1, 0):  # with an empty cache, and with a full one
        process = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert process.stderr.count(ANNOUNCEMENT) == times


def test_kernels_cache_depends_on_all_files_that_kernels_share(tmp_path, monkeypatch):
    shutil.copytree(jit.PACKAGE, tmp_path / "kernels", ignore=lambda *_: ["__pycache__"])
    monkeypatch.setattr(jit, "PACKAGE", tmp_path / "kernels")
    digests = {jit._sources_digest()}
    files = sorted((tmp_path / "kernels").iterdir())
    assert len(files) > 30 and jit._sources_digest() in digests
    for file in files:
        file.write_text(file.read_text() + "# edited")
        digests.add(jit._sources_digest())
    assert len(digests) == len(files) + 1


COMPARE = """
import numpy as np
from tinyvision.kernels import Geometry, conv, linear, max_pool, simd
from tinyvision.kernels.windows import Windows
rng = np.random.default_rng(0)
for C, C_out, geometry in [
    (5, 11, Geometry(padding=(1, 1))),
    (5, 11, Geometry((2, 2), (0, 1), (1, 2))),
    (17, 21, Geometry(padding=(1, 1))),
]:
    x = rng.standard_normal((3, C, 13, 19)).astype(np.float32)
    w = rng.standard_normal((C_out, C, 3, 3)).astype(np.float32)
    y = conv.conv2d_forward(x, w, None, geometry)
    np.testing.assert_allclose(
        y, conv.conv2d_forward_reference(x, w, None, geometry), rtol=1e-4, atol=1e-4)
    backward = conv.conv2d_backward(y, x, w, geometry, (True, True, True))
    reference = conv.conv2d_backward_reference(y, x, w, geometry, (True, True, True))
    for actual, expected in zip(backward, reference):
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-2)
pool = (x, Windows((3, 2), (2, 1), (1, 1), (1, 1), (7, 20)))
for a, b in zip(max_pool.max_pool2d_forward(*pool), max_pool.max_pool2d_forward_reference(*pool)):
    np.testing.assert_array_equal(a, b)
for M, K, N in [(7, 35, 19), (70, 35, 139)]:
    x, w, g = (rng.standard_normal(s).astype(np.float32) for s in [(M, K), (N, K), (M, N)])
    y = linear.linear_forward(x, w, None)
    np.testing.assert_allclose(y, linear.linear_forward_reference(x, w, None), 1e-4, 1e-4)
    backward = linear.linear_backward(g, x, w, True, True, True)
    reference = linear.linear_backward_reference(g, x, w, True, True, True)
    for actual, expected in zip(backward, reference):
        np.testing.assert_allclose(actual, expected, 1e-4, 1e-4)
print(simd.VECTOR_BYTES)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, features, vector_bytes",
    [("generic", "", "16"), ("haswell", "+avx,+avx2,+fma", "32")],
)
def test_kernels_follow_the_cpu_they_are_compiled_for(name, features, vector_bytes):
    if os.uname().machine != "x86_64":
        pytest.skip("these are names of x86 CPUs")
    output = _run(COMPARE, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES=features)
    assert output.split() == [vector_bytes]
