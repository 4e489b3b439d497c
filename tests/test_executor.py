"""Executors: the same tests for every engine, and what only some of them can suffer."""

import importlib.util
import ipaddress
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from fractile import ray_cluster
from fractile.errors import FractileError, InputError, WorkError
from fractile.executor import Task, open_executor, run_tasks
from fractile.parts import Parts

RAY = importlib.util.find_spec("ray") is not None
ENGINES = ("serial", "process", pytest.param("ray", marks=pytest.mark.skipif(not RAY, reason="needs Ray")))

FUNCTIONS = '''
import os
import signal
import time
from pathlib import Path

from fractile.errors import FractileError


def square(folder, number, pause=0.0):
    time.sleep(pause)
    (folder / "square.txt").write_text(str(number**2))


def count(folder, log):
    """Write a line into a log beside the result: how often a task has run."""
    with open(log, "a") as file:
        file.write("run\\n")
    (folder / "done.txt").write_text("done")


def fail(folder, log, error):
    count(folder, log)
    raise (FractileError if error == "input" else RuntimeError)("no such tea")


def die(folder, log, how, times):
    """End the worker in the first attempts, with a file half written."""
    count(folder, log)
    (folder / "done.txt").write_text("do")
    if len(Path(log).read_text().splitlines()) <= times:
        if how == "exit":
            os._exit(3)
        if how == "pipe":
            for number in range(3, 20):
                try:
                    os.close(number)
                except OSError:
                    pass
            time.sleep(60)
        os.kill(os.getpid(), getattr(signal, how))
    (folder / "done.txt").write_text("done")


def nap(folder, log, number):
    with open(log, "a") as file:
        file.write(f"{number}\\n")
    until = time.monotonic() + 60
    while not Path(log).with_name("killed").exists() and time.monotonic() < until:
        time.sleep(0.05)
    (folder / "nap.txt").write_text(str(number))


def threads(folder):
    import torch

    (folder / "threads.txt").write_text(f"{torch.get_num_threads()} {os.environ['OMP_NUM_THREADS']}")
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Functions of tasks in a module that workers find, too."""
    name = f"functions_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.fixture(scope="module")
def cluster():
    """One small Ray cluster for all tests of this file, as every test would need seconds to start its own."""
    if not RAY:
        yield None
        return
    with closing(open_executor("ray", 2)):
        yield


@pytest.fixture(params=ENGINES)
def executor(request, module):
    if request.param == "ray":
        request.getfixturevalue("cluster")
    with closing(open_executor(request.param, 2)) as opened:
        yield opened


def squares(module, numbers, **more):
    return [Task(("square", k), f"{module}:square", {"number": k, **more}) for k in numbers]


def read(parts, *key):
    return next(parts.folder_of(key).glob("*.txt")).read_text()


def test_every_task_becomes_a_part(executor, module, tmp_path):
    parts, said = Parts(tmp_path / "parts"), []
    run_tasks(executor, squares(module, range(5)), parts, progress=lambda message, share=None: said.append(share))
    assert [read(parts, "square", k) for k in range(5)] == ["0", "1", "4", "9", "16"]
    assert said == [0.2, 0.4, 0.6, 0.8, 1.0]


def test_the_order_of_finishing_does_not_matter(executor, module, tmp_path):
    parts = Parts(tmp_path / "parts")
    slow, *rest = squares(module, range(4))
    run_tasks(executor, [Task(slow.key, slow.function, {"number": 0, "pause": 0.3}), *rest], parts)
    assert [read(parts, "square", k) for k in range(4)] == ["0", "1", "4", "9"]


def test_what_is_there_is_not_run_again(executor, module, tmp_path):
    parts, log = Parts(tmp_path / "parts"), tmp_path / "log"
    tasks = [Task(("count", k), f"{module}:count", {"log": str(log)}) for k in range(3)]
    run_tasks(executor, tasks[:2], parts)
    run_tasks(executor, tasks, parts)
    assert len(log.read_text().splitlines()) == 3


def test_a_damaged_part_is_made_again(executor, module, tmp_path):
    parts = Parts(tmp_path / "parts")
    run_tasks(executor, squares(module, [3]), parts)
    (parts.folder_of(("square", 3)) / "square.txt").write_text("8")
    with pytest.raises(FractileError, match=r"square.txt is not as it was written; remove the folder and resume"):
        parts.folder_of(("square", 3))
    run_tasks(executor, squares(module, [3]), parts)
    assert read(parts, "square", 3) == "9"


def test_a_task_that_always_fails_is_named_after_all_others(executor, module, tmp_path):
    parts, log = Parts(tmp_path / "parts"), tmp_path / "log"
    bad = Task(("block", 7), f"{module}:fail", {"log": str(log), "error": "own"})
    with pytest.raises(WorkError, match="block 7: RuntimeError: no such tea"):
        run_tasks(executor, [bad, *squares(module, range(3))], parts)
    assert len(log.read_text().splitlines()) == 3
    assert [read(parts, "square", k) for k in range(3)] == ["0", "1", "4"]
    assert not parts.holds(("block", 7))
    assert not list(parts.folder.glob(".*.partial"))


def test_input_that_cannot_be_used_is_not_tried_again(executor, module, tmp_path):
    log = tmp_path / "log"
    bad = Task(("block", 7), f"{module}:fail", {"log": str(log), "error": "input"})
    with pytest.raises(WorkError, match=r"^block 7: no such tea$"):
        run_tasks(executor, [bad], Parts(tmp_path / "parts"))
    assert len(log.read_text().splitlines()) == 1


def test_a_task_runs_in_one_thread_and_leaves_the_others_alone(executor, module, tmp_path):
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run_tasks(executor, [Task(("threads",), f"{module}:threads")], Parts(tmp_path))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert read(Parts(tmp_path), "threads") == "1 1"


def test_a_function_that_is_not_there_is_a_failed_task(executor, module, tmp_path):
    with pytest.raises(WorkError, match=r"brew 1: AttributeError: .*has no attribute 'brew'"):
        run_tasks(executor, [Task(("brew", 1), f"{module}:brew")], Parts(tmp_path))


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "exit", "pipe"])
def test_a_worker_that_dies_costs_one_task(how, module, tmp_path):
    parts, log = Parts(tmp_path / "parts"), tmp_path / "log"
    dying = Task(("dying",), f"{module}:die", {"log": str(log), "how": how, "times": 1})
    with closing(open_executor("process", 2)) as executor:
        run_tasks(executor, [dying, *squares(module, range(3))], parts)
    assert read(parts, "dying") == "done"
    assert len(log.read_text().splitlines()) == 2
    assert [read(parts, "square", k) for k in range(3)] == ["0", "1", "4"]


@pytest.mark.skipif(not RAY, reason="needs Ray")
def test_a_worker_of_ray_that_dies_costs_one_task(cluster, module, tmp_path):
    parts, log = Parts(tmp_path / "parts"), tmp_path / "log"
    dying = Task(("dying",), f"{module}:die", {"log": str(log), "how": "SIGKILL", "times": 1})
    with closing(open_executor("ray", 2)) as executor:
        run_tasks(executor, [dying, *squares(module, range(3))], parts)
    assert read(parts, "dying") == "done"
    assert len(log.read_text().splitlines()) == 2
    assert [read(parts, "square", k) for k in range(3)] == ["0", "1", "4"]


def test_a_task_that_always_kills_its_worker_is_named(module, tmp_path):
    parts, log = Parts(tmp_path / "parts"), tmp_path / "log"
    dying = Task(("block", 3), f"{module}:die", {"log": str(log), "how": "SIGKILL", "times": 99})
    with (
        closing(open_executor("process", 1)) as executor,
        pytest.raises(WorkError, match="block 3: its worker process was ended by SIGKILL"),
    ):
        run_tasks(executor, [dying, *squares(module, range(2))], parts)
    assert len(log.read_text().splitlines()) == 3
    assert [read(parts, "square", k) for k in range(2)] == ["0", "1"]


def test_arguments_that_cannot_be_sent_are_a_failed_task(module, tmp_path):
    bad = Task(("bad",), f"{module}:square", {"number": lambda: 3})
    with closing(open_executor("process", 1)) as executor, pytest.raises(WorkError, match=r"bad: .*pickle"):
        run_tasks(executor, [bad], Parts(tmp_path))


def test_two_processes_may_run_the_same_tasks_at_once(module, tmp_path):
    parts = Parts(tmp_path / "parts")
    tasks = squares(module, range(12), pause=0.01)
    failed = []

    def run():
        try:
            with closing(open_executor("process", 1)) as executor:
                run_tasks(executor, tasks, parts)
        except Exception as error:
            failed.append(error)

    runs = [Thread(target=run) for _ in range(2)]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    assert failed == []
    assert [read(parts, "square", k) for k in range(12)] == [str(k**2) for k in range(12)]
    assert sorted(path.name for path in parts.folder.iterdir() if path.name.startswith(".")) == []


def test_of_two_writers_of_a_part_the_first_one_is_kept(tmp_path):
    parts = Parts(tmp_path)

    def write(folder):
        (folder / "cup.txt").write_text("second")
        parts.write(("cup",), lambda first: (first / "cup.txt").write_text("first"))

    assert parts.write(("cup",), write) == parts.folder_of(("cup",))
    assert read(parts, "cup") == "first"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_part_that_is_not_there_is_a_clear_fault(tmp_path):
    with pytest.raises(FractileError, match="holds no part 'block 3'; resume the run"):
        Parts(tmp_path).folder_of(("block", 3))
    with pytest.raises(FractileError, match="no folder"):
        Parts().folder_of(("block", 3))


def test_faults_of_a_call_are_clear(module, tmp_path):
    with closing(open_executor("serial")) as executor:
        with pytest.raises(FractileError, match="tasks need a folder"):
            run_tasks(executor, squares(module, [1]), Parts())
        with pytest.raises(FractileError, match="got square 1 more than once"):
            run_tasks(executor, squares(module, [1, 1]), Parts(tmp_path))
    with pytest.raises(InputError, match="unknown engine 'proces'; did you mean 'process'"):
        open_executor("proces")
    with pytest.raises(InputError, match="workers: must be a whole number >= 1, got 0"):
        open_executor("process", 0)
    with pytest.raises(InputError, match="address: is of a Ray cluster"):
        open_executor("process", 1, "auto")


def test_without_ray_the_engine_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'fractile\[ray\]'"):
        open_executor("ray")


STOPPED = """
import signal
import sys
from contextlib import closing
from pathlib import Path

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background of a shell

sys.path.insert(0, {folder!r})
from fractile.executor import Task, open_executor, run_tasks
from fractile.parts import Parts

tasks = [Task(("quick",), "{module}:square", {{"number": 2}})]
tasks += [Task(("slow", k), "{module}:square", {{"number": k, "pause": 60}}) for k in range(2)]
with closing(open_executor("process", 2)) as executor:
    run_tasks(executor, tasks, Parts(Path({parts!r})), progress=lambda *a: print(*a, flush=True))
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_run_and_whole_parts_stay(stop, module, tmp_path):
    parts = Parts(tmp_path / "parts")
    code = STOPPED.format(folder=str(tmp_path), module=module, parts=str(parts.folder))
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout.readline().startswith("1 of 3 done")
    while len(list(parts.folder.glob(".*.partial"))) < 2:
        time.sleep(0.02)
    workers = children(run.pid)
    assert len(workers) == 2
    run.send_signal(stop)
    _, said = run.communicate(timeout=20)
    assert ("KeyboardInterrupt" in said) == (stop == signal.SIGINT)
    until = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, workers))
    assert read(parts, "quick") == "4"


def children(pid):
    """Return the processes that a process has started, where the system says so."""
    try:
        files = Path(f"/proc/{pid}/task").glob("*/children")  # of every thread
        return [int(text) for file in files for text in file.read_text().split()]
    except OSError:
        pytest.skip("needs /proc")


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


NODES = """
import sys
import time
from contextlib import closing
from pathlib import Path
from threading import Thread

folder = Path({folder!r})
sys.path.insert(0, str(folder))
from ray.cluster_utils import Cluster
from fractile.executor import Task, open_executor, run_tasks
from fractile.parts import Parts

cluster = Cluster(initialize_head=True, head_node_args={{"num_cpus": 0, "include_dashboard": False}})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
log = folder / "log"
tasks = [Task(("nap", k), "{module}:nap", {{"log": str(log), "number": k}}) for k in range(4)]


def kill():
    while not log.exists() or len(log.read_text().splitlines()) < 2:  # both nodes are at work
        time.sleep(0.05)
    cluster.remove_node(nodes[0], allow_graceful=False)
    time.sleep(5)  # its worker goes down a moment after it
    (folder / "killed").touch()


with closing(open_executor("ray", None, cluster.address)) as executor:
    Thread(target=kill).start()
    run_tasks(executor, tasks, Parts(folder / "parts"), progress=lambda *said: print("said", *said, flush=True))
cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.skipif(not RAY, reason="needs Ray")
def test_a_node_of_ray_that_dies_costs_the_tasks_that_it_ran(module, tmp_path):
    code = NODES.format(folder=str(tmp_path), module=module)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True)
    parts, log = Parts(tmp_path / "parts"), (tmp_path / "log").read_text().split()
    assert [read(parts, "nap", k) for k in range(4)] == ["0", "1", "2", "3"]
    assert len(log) == 5  # one of them twice
    assert set(log) == set("0123")
    assert run.stdout.count("it is run again") == 1


@pytest.mark.skipif(not RAY, reason="needs Ray")
def test_a_machine_that_does_not_see_the_folder_is_named(cluster, module, tmp_path):
    with closing(open_executor("ray", 2)) as executor:
        for task in squares(module, range(2)):
            executor.submit(task, Parts(tmp_path / "parts"))
        for probe in tmp_path.glob("parts/*.probe"):
            probe.unlink()  # as where the folder of that name is another one
        with pytest.raises(InputError, match="does not see this folder; put the run folder"):
            executor.next_done()


@pytest.mark.skipif(not RAY, reason="needs Ray")
def test_an_address_without_a_cluster_is_a_clear_fault():
    with pytest.raises(InputError, match=r"address: no Ray cluster can be joined at '127\.0\.0\.1:1'"):
        open_executor("ray", None, "127.0.0.1:1")
    with pytest.raises(InputError, match="address: must be 'auto' or HOST:PORT"):
        open_executor("ray", None, "ray://head:10001")


LISTENING = """
from pathlib import Path
from fractile.executor import open_executor

executor = open_executor("ray", 1)
import ray
print(ray.get_runtime_context().gcs_address, flush=True)
input()
"""


@pytest.mark.slow
@pytest.mark.skipif(not RAY or not Path("/proc/net/tcp").exists(), reason="needs Ray and /proc")
def test_ray_listens_on_the_loopback_address_alone():
    """Ports of all processes of the session that Ray started, by their sockets."""
    run = subprocess.Popen(
        [sys.executable, "-c", LISTENING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert run.stdout.readline().startswith("127.0.0.1:")
        found = listening(descendants(run.pid))
        assert found
        assert [address for address in found if not is_loopback(address)] == []
    finally:
        run.communicate("\n", timeout=60)


def is_loopback(address):
    found = ipaddress.ip_address(address)
    mapped = getattr(found, "ipv4_mapped", None)
    return found.is_loopback or (mapped is not None and mapped.is_loopback)


def descendants(pid):
    found, new = {pid}, [pid]
    while new:
        new = [child for parent in new for child in children(parent) if child not in found]
        found.update(new)
    return found


def listening(pids):
    """Return the local addresses that some processes listen on, as bytes."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = os.readlink(link)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:  # listening
                text = fields[1].partition(":")[0]
                words = [bytes.fromhex(text[k : k + 8])[::-1] for k in range(0, len(text), 8)]  # little-endian
                found.append(b"".join(words))
    return found


class StartingRay:
    """Stands in for Ray: it puts a handler of its own in place of ours while it starts, and is ended then."""

    def init(self, **options):
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process at once there")
def test_sigterm_while_ray_starts_has_the_exit_code_of_any_other_moment():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        ray_cluster._connect(StartingRay(), 1, None)
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
