#!/usr/bin/env python3
"""The helper against the stand-in Lustre, with this script in Node's place: archive, restore, cancel, kill and adopt.

usage: sim_test.py HELPER STAND_IN_BUILD_DIR [PREFIX...]      (as root)
"""
import errno, json, os, queue, shutil, signal, subprocess, sys, tempfile, threading, time

helper, sim, prefix = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:]
PATIENCE = 60
checks = failures = 0


def check(condition, *what):
    global checks, failures
    checks += 1
    if not condition:
        failures += 1
        print(f"{__file__}:{sys._getframe(1).f_lineno}: failed:", *what, flush=True)


class Helper:
    def __init__(self, mode, *args):
        self.p = subprocess.Popen([*prefix, helper, mode, "--mount", mnt, "--liblustreapi", sim + "/liblustreapi.so.1",
                                   *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.events, self.replies, self.n = queue.Queue(), {}, 0
        self.arrived = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()
        self.first = self.events.get(timeout=PATIENCE)

    def read(self):
        for line in self.p.stdout:
            m = json.loads(line)
            if m["t"] == "reply":
                with self.arrived:
                    self.replies[m["n"]] = m
                    self.arrived.notify_all()
            else:
                self.events.put(m)
        self.events.put(None)

    def ask(self, **request):
        self.n += 1
        n = self.n
        self.p.stdin.write(json.dumps({"n": n, **request}).encode() + b"\n")
        self.p.stdin.flush()
        with self.arrived:
            check(self.arrived.wait_for(lambda: n in self.replies, PATIENCE), "no reply", request)
            return self.replies.pop(n)

    def event(self):
        return self.events.get(timeout=PATIENCE)

    def end(self):
        self.p.stdin.close()
        return self.p.wait(PATIENCE)


def lfs(*args, rc=0):
    r = subprocess.run([sim + "/lfs", *args], capture_output=True, text=True, timeout=PATIENCE)
    check(r.returncode == rc, args, r.returncode, r.stderr)
    return r.stdout


def state(path):
    return lfs("hsm_state", path).split(": ", 1)[1].strip()


def eventually(condition, *what):
    until = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    check(condition(), *what)


def reader(path):
    return subprocess.Popen(["cat", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def copytool(*args):
    h = Helper("copytool", "--archive", "1", *args)
    check(h.first["t"] == "hello" and h.event() == {"t": "registered", "archives": [1]}, h.first)
    return h


def archive(h, path, data):
    lfs("hsm_archive", "--archive", "1", path)
    e = h.event()
    check(e["action"] == "ARCHIVE", e)
    b = h.ask(op="begin", cookie=e["cookie"])
    check(b["rc"] == 0 and b["dfid"] == e["fid"] and "dv" in b, b)
    check(h.ask(op="data_version", fid=e["fid"], flush=True)["dv"] == b["dv"])
    with open(f"{mnt}/.lustre/fid/{e['fid']}", "rb") as f:
        check(f.read() == data)
    check(h.ask(op="progress", cookie=e["cookie"], offset="0", length=str(len(data)))["rc"] == 0)
    check(h.ask(op="end", cookie=e["cookie"], offset="0", length=str(len(data)), errval=0)["rc"] == 0)
    eventually(lambda: state(path).startswith("(0x00000009) exists archived"), path)
    return e


def restore_begin(h, path, action=None):
    r = reader(path)
    e = action or h.event()
    check(e["action"] == "RESTORE", e)
    b = h.ask(op="begin", cookie=e["cookie"])
    check(b["rc"] == 0 and b["dfid"] != e["fid"], b)
    return r, e, b


def restore_end(h, r, e, b, data):
    with open(f"{mnt}/.lustre/fid/{b['dfid']}", "r+b") as f:
        f.write(data)
    check(h.ask(op="progress", cookie=e["cookie"], offset="0", length=str(len(data)))["rc"] == 0)
    x = h.ask(op="end", cookie=e["cookie"], offset="0", length=str(len(data)))
    check(x["rc"] == 0, x)
    check(r.communicate(timeout=PATIENCE)[0] == data and r.returncode == 0)


def released(h, name, data):
    path = f"{mnt}/{name}"
    with open(path, "wb") as f:
        f.write(data)
    e = archive(h, path, data)
    lfs("hsm_release", path)
    check("released" in state(path), path)
    return path, e["fid"]


def main_test():
    lock = f"{top}/lock"
    h = copytool("--lock", lock)
    second = Helper("copytool", "--lock", lock)
    check(second.first["t"] == "fatal" and second.first["code"] == "LOCKED", second.first)
    check(prefix or second.first["holder"] == h.p.pid, second.first)
    attrs = Helper("attrs")
    check(attrs.first["t"] == "hello" and attrs.end() == 0)
    os.mkdir(f"{mnt}/dir")
    for bad in (f"{mnt}/dir", "/tmp", f"{mnt}/none"):
        p = subprocess.run([*prefix, helper, "attrs", "--mount", bad, "--liblustreapi", sim + "/liblustreapi.so.1"],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        check(json.loads(p.stdout)["code"] == "NOT_LUSTRE" and p.returncode == 1, bad, p.stdout)

    # archive, release, what attrs sees, restore
    data = os.urandom(300000)
    path, fid = released(h, "a", data)
    check(h.ask(op="get", fid=fid, want=["stat"])["stat"]["size"] == "300000")
    check(h.ask(op="set_xattr", fid=fid, name="trusted.lfsazsync", value="eyJ2IjoxfQ==")["rc"] == 0)
    g = h.ask(op="get", path="a", want=["stat", "hsm", "action", "dv", "paths", "xattrs", "layout"],
              xattrs=["trusted.lfsazsync", "trusted.none"])
    print(json.dumps(g))
    check(g["fid"] == fid and g["hsm"] == {"states": 13, "archive": 1} and g["paths"] == [{"path": "a"}], g)
    check(g["xattrs"] == {"trusted.lfsazsync": "eyJ2IjoxfQ=="} and "released" in g["layout"].get("pattern", []), g)
    check("released" in state(path), "nothing of that restores")
    os.link(path, f"{mnt}/dir/b")
    check(len(h.ask(op="get", fid=fid, want=["paths"])["paths"]) == 2)
    r, e, b = restore_begin(h, path)
    check(h.ask(op="get", fid=fid, want=["action"])["action"]["action"] == "RESTORE")
    restore_end(h, r, e, b, data)
    check("released" not in state(path), state(path))
    check(h.ask(op="get", fid=fid, want=["xattrs"], xattrs=["trusted.lfsazsync"])["xattrs"] != {})

    # the layout stays
    lfs("setstripe", "-c", "2", "-S", "1M", f"{mnt}/striped")
    path, fid = released(h, "striped", data)
    r, e, b = restore_begin(h, path)
    check(b["layout_rc"] == 0, b)
    restore_end(h, r, e, b, data)
    layout = h.ask(op="get", fid=fid, want=["layout"])["layout"]
    check((layout.get("stripe_count"), layout.get("stripe_size")) == (2, 1 << 20), layout)

    # too short: refused, and the reader is told
    path, fid = released(h, "short", data)
    r, e, b = restore_begin(h, path)
    with open(f"{mnt}/.lustre/fid/{b['dfid']}", "r+b") as f:
        f.write(data[:1000])
    x = h.ask(op="end", cookie=e["cookie"], length="1000")
    check(x["rc"] == -errno.EIO, x)
    check(r.wait(PATIENCE) == 1 and b"No data available" in r.stderr.read() and "released" in state(path))
    r, e, b = restore_begin(h, path)
    restore_end(h, r, e, b, data)

    # written while it was archived
    with open(f"{mnt}/w", "wb") as f:
        f.write(b"one")
    lfs("hsm_archive", "--archive", "1", f"{mnt}/w")
    e = h.event()
    h.ask(op="begin", cookie=e["cookie"])
    with open(f"{mnt}/w", "ab") as f:
        f.write(b"two")
    check(h.ask(op="end", cookie=e["cookie"], length="3")["rc"] == -errno.EBUSY)
    eventually(lambda: "dirty" in state(f"{mnt}/w"))

    # cancelled
    path, fid = released(h, "c", data)
    r, e, b = restore_begin(h, path)
    check(h.ask(op="progress", cookie=e["cookie"], length="10")["rc"] == 0)
    lfs("hsm_cancel", path)
    c = h.event()
    check(c["action"] == "CANCEL" and c["cookie"] == e["cookie"], c)
    check(h.ask(op="progress", cookie=e["cookie"], offset="10", length="10")["rc"] == -errno.ECANCELED)
    check(h.ask(op="end", cookie=e["cookie"], errval=errno.ECANCELED)["rc"] == 0)
    check(r.wait(PATIENCE) == 1 and b"No data available" in r.stderr.read())

    # an error without begin; a removal; a cookie nobody knows
    r = reader(path)
    e = h.event()
    check(h.ask(op="end", cookie=e["cookie"], errval=errno.EIO)["rc"] == 0)
    check(r.wait(PATIENCE) == 1)
    lfs("hsm_remove", "--archive", "1", f"{mnt}/a")
    e = h.event()
    check(e["action"] == "REMOVE" and h.ask(op="begin", cookie=e["cookie"])["rc"] == 0, e)
    check(h.ask(op="end", cookie=e["cookie"])["rc"] == 0)
    eventually(lambda: "archived" not in state(f"{mnt}/a"))
    x = h.ask(op="adopt", action="ARCHIVE", fid=fid, cookie="74565", archive=1)
    check(x["rc"] == -errno.ENOENT, x)

    # killed in the middle of a restore, after heartbeats: adopted, and the reader never notices
    r, e, b = restore_begin(h, path)
    for i in range(3):
        check(h.ask(op="progress", cookie=e["cookie"], offset=str(i * 1000), length="1000")["rc"] == 0)
    h.p.kill()
    h.p.wait(PATIENCE)
    time.sleep(0.5)
    check(r.poll() is None, "the reader waits")
    h = copytool("--lock", lock)
    fields = {k: v for k, v in e.items() if k != "t"}
    b = h.ask(op="adopt", **fields)
    check(b["rc"] == 0 and b["dfid"] != fid, b)
    restore_end(h, r, e, b, data)

    # killed once more, not adopted but ended with an error under the file's FID
    lfs("hsm_release", path)
    r, e, b = restore_begin(h, path)
    h.ask(op="progress", cookie=e["cookie"], length="1000")
    h.p.kill()
    h.p.wait(PATIENCE)
    h = copytool("--lock", lock)
    check(h.ask(op="adopt", **{k: v for k, v in e.items() if k != "t"}, is_error=True)["rc"] == 0)
    check(h.ask(op="end", cookie=e["cookie"], errval=5)["rc"] == 0)
    check(r.wait(PATIENCE) == 1)

    # leaving with something open
    r, e, b = restore_begin(h, path)
    before = time.monotonic()
    check(h.end() == 0 and time.monotonic() - before < 12)
    check(r.wait(PATIENCE) == 1, "its reader was freed")

    # the coordinator shut down and back
    h = copytool("--lock", lock)
    mdt = "mdt.*.hsm_control"
    subprocess.run([sim + "/lctl", "set_param", mdt + "=shutdown"], env={**os.environ, "LUSTRE_SIM_NODE": "server"},
                   check=False, timeout=PATIENCE)
    subprocess.run([sim + "/lctl", "set_param", mdt + "=enabled"], env={**os.environ, "LUSTRE_SIM_NODE": "server"},
                   check=False, timeout=PATIENCE)
    try:
        print("after a shutdown:", h.events.get(timeout=3), h.events.get(timeout=PATIENCE))
    except queue.Empty:
        print("after a shutdown: the helper was not told (as on the recordings)")
    n = time.monotonic()
    h.p.stdin.close()
    check(h.p.wait(PATIENCE) == 0 and time.monotonic() - n < 12)


top = tempfile.mkdtemp(prefix="helper-sim-", dir=os.environ.get("SIM_TMP", "/tmp"))
mnt = top + "/mnt"
os.mkdir(mnt)
daemon = subprocess.Popen([sim + "/lustre-simd", "--dir", top + "/state", "--mount", mnt, "--foreground"],
                          stdout=subprocess.PIPE)
os.environ["LUSTRE_SIM_DIR"] = top + "/state"
try:
    daemon.stdout.readline()
    main_test()
finally:
    daemon.terminate()
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
    shutil.rmtree(top, ignore_errors=True)
print(f"stand-in: {checks} checks, {failures} failed")
sys.exit(failures != 0 or checks == 0)
