#!/usr/bin/env python3
"""Drives the helper over a fake liblustreapi: what it says, and what it asks of the library.

usage: fake_test.py HELPER FAKE_LIBRARY [PREFIX...]      (as root; PREFIX: e.g. valgrind and its options)
"""
import base64, errno, json, os, queue, shutil, signal, socket, struct, subprocess, sys, tempfile, threading, time

helper, library, prefix = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:]
PATIENCE = 60 if prefix else 20
checks = failures = 0


def check(condition, *what):
    global checks, failures
    checks += 1
    if not condition:
        failures += 1
        line = sys._getframe(1).f_lineno
        print(f"{__file__}:{line}: failed:", *what, flush=True)


class Helper:
    def __init__(self, *args, library=library, less=()):
        self.p = subprocess.Popen([*less, *prefix, helper, *args, "--liblustreapi", library],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines, self.n, self.replies = queue.Queue(), 0, {}
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.p.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def next(self, t=None):
        """The next line that is no reply (or the next of kind t)."""
        while True:
            m = self.lines.get(timeout=PATIENCE)
            if m and m["t"] == "reply" and t != "reply":
                self.replies[m["n"]] = m
                continue
            return m

    def send(self, **request):
        self.n += 1
        self.raw(json.dumps({"n": self.n, **request}).encode() + b"\n")
        return self.n

    def raw(self, data):
        self.p.stdin.write(data)
        self.p.stdin.flush()

    def ask(self, **request):
        n = self.send(**request)
        while n not in self.replies:
            m = self.lines.get(timeout=PATIENCE)
            if m is None:
                raise EOFError
            if m["t"] == "reply":
                self.replies[m["n"]] = m
            else:
                self.lines.put(m)
        return self.replies.pop(n)

    def end(self):
        self.p.stdin.close()
        return self.p.wait(PATIENCE)


class Fake:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="fake-", dir=os.environ.get("FAKE_DIR", "/tmp"))
        os.makedirs(self.dir + "/.lustre/fid")
        os.mkdir(self.dir + "/.fake")
        self.oid = 0
        self.fid_of(self.dir)

    def fid_of(self, path):
        self.oid += 1
        os.setxattr(path, "trusted.fake_fid", struct.pack("<QII", 0x200000401, self.oid, 0), follow_symlinks=False)
        return f"0x200000401:{self.oid:#x}:0x0"

    def file(self, name, data=b"hello\n"):
        path = os.fsencode(self.dir) + b"/" + (name if isinstance(name, bytes) else name.encode())
        with open(path, "wb") as f:
            f.write(data)
        fid = self.fid_of(path)
        os.link(path, self.dir + "/.lustre/fid/" + fid)
        os.setxattr(path, "trusted.fake_paths", os.path.basename(path))
        return fid

    def answer(self, name, value):
        path = f"{self.dir}/.fake/{name}"
        if value == 0:
            os.path.exists(path) and os.unlink(path)
        else:
            with open(path, "w") as f:
                f.write(str(value))

    def log(self):
        with open(self.dir + "/.fake/log") as f:
            return f.read()

    def cut_log(self):
        text = self.log()
        os.truncate(self.dir + "/.fake/log", 0)
        return text

    def push(self, data):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.sendto(data, self.dir + "/.fake/channel")
        s.close()


def hal(*items, archive=1, flags=0, count=None):
    m = struct.pack("<IIQQII", 1, len(items) if count is None else count, 0, flags, archive, 0) + b"fakefs\0\0"
    for action, fid, cookie, data in items:
        seq, oid, ver = (int(x, 16) for x in fid.split(":"))
        length = 72 + len(data)
        m += struct.pack("<IIQIIQIIQQQQ", length, action, seq, oid, ver, seq, oid, ver, 0, 2**64 - 1, cookie, 0)
        m += data + b"\0" * (-length % 8)
    return m


def start(mode, fake, *args):
    h = Helper(mode, "--mount", fake.dir, *args)
    hello = h.next()
    check(hello["t"] == "hello" and hello["protocol"] == 1 and hello["mode"] == mode, hello)
    check(hello["llapi"] == "2.15.4" and hello["fsname"] == "fakefs" and hello["lib"] == library, hello)
    return h


def test_fatal(fake):
    def code(*args, **more):
        h = Helper(*args, **more)
        m = h.next()
        check(h.next() is None, "one line only")
        return m["code"], h.p.wait(PATIENCE), m

    check(code("attrs", "--mount", "/nowhere")[:2] == ("NOT_LUSTRE", 1))
    check(code("attrs", "--mount", "/tmp")[:2] == ("NOT_LUSTRE", 1))
    check(code("attrs", "--mount", fake.dir, library="/nowhere.so")[:2] == ("NO_LIBRARY", 1))
    check(code("attrs", "--mount", fake.dir, library="libc.so.6")[:2] == ("LIBRARY_UNFIT", 1))
    os.chmod(fake.dir + "/.lustre/fid", 0)  # root that is squashed
    squashed = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    check(code("attrs", "--mount", fake.dir, less=squashed)[:2] == ("NOT_ROOT", 1))
    os.chmod(fake.dir + "/.lustre/fid", 0o755)
    check(code("attrs")[:2] == ("USAGE", 2))
    check(code("dance", "--mount", fake.dir)[:2] == ("USAGE", 2))
    check(code("attrs", "--mount", fake.dir, "--threads", "0")[:2] == ("USAGE", 2))
    check(code("attrs", "--mount", fake.dir, "--archive", "1")[:2] == ("USAGE", 2))
    for version in ("2.10.8", "3.0.0", "git-abc"):
        fake.answer("version", version)
        check(code("attrs", "--mount", fake.dir)[:2] == ("LIBRARY_UNFIT", 1), version)
    fake.answer("version", 0)
    for rc in (-errno.EEXIST, -errno.ENXIO):
        fake.answer("register", rc)
        c, status, m = code("copytool", "--mount", fake.dir)
        check((c, status, m["rc"]) == ("REGISTER_FAILED", 1, rc), m)
    fake.answer("register", 0)


def test_attrs(fake):
    h = start("attrs", fake)
    fid = fake.file("a", b"x" * 4096)
    odd = fake.file(b"o\xff\"dd")
    os.setxattr(fake.dir + "/a", "trusted.one", b"\0\xff")
    os.utime(fake.dir + "/a", ns=(-1_500_000_001, 1_600_000_000_123_456_789))
    os.chmod(fake.dir + "/a", 0o4755)
    everything = ["stat", "hsm", "action", "dv", "paths", "xattrs", "layout"]
    r = h.ask(op="get", fid=fid, want=everything, xattrs=["trusted.one", "trusted.none"])
    check(r["rc"] == 0 and r["fid"] == fid, r)
    s = r["stat"]
    check((s["type"], s["mode"], s["size"], s["nlink"]) == ("file", 0o4755, "4096", 2), s)
    check((s["atime"], s["mtime"]) == ("-1500000001", "1600000000123456789"), s)
    check(r["hsm"] == {"states": 9, "archive": 1} and r["dv"] == "77", r)
    check(r["action"] == {"action": "RESTORE", "state": "running", "done": "1000"}, r)
    check(r["paths"] == [{"path": "a"}] and r["xattrs"] == {"trusted.one": "AP8="}, r)
    check(r["layout"]["rc"] < 0, r)
    r = h.ask(op="get", path="a", want=["dv"], dv_flush=True)
    check(r["fid"] == fid and r["dv"] == "78", r)
    check(h.ask(op="get", path=fake.dir + "/a")["fid"] == fid)
    check(h.ask(op="get", path="/etc/passwd")["rc"] == -errno.EXDEV)
    check(h.ask(op="get", path="../../etc/passwd")["rc"] in (-errno.EXDEV, -errno.ENOENT, -errno.ENODATA))
    check(h.ask(op="get", path="none")["rc"] == -errno.ENOENT)
    check(h.ask(op="get", fid="0x1:0x2:0x3", want=["stat"])["rc"] == -errno.ENOENT)
    name = base64.b64encode(b"o\xff\"dd").decode()
    r = h.ask(op="get", path_b64=name, want=["paths"])
    check(r["fid"] == odd and r["paths"] == [{"path_b64": name}], r)
    os.setxattr(fake.dir + "/a", "trusted.fake_paths", b"a\nd/b\nc")
    check(h.ask(op="get", fid=fid, want=["paths"])["paths"] == [{"path": "a"}, {"path": "d/b"}, {"path": "c"}])
    os.removexattr(fake.dir + "/a", "trusted.fake_paths")
    check(h.ask(op="get", fid=fid, want=["paths"])["paths"] == [])

    os.symlink(b"to\xff", os.fsencode(fake.dir) + b"/link")
    link = fake.fid_of(fake.dir + "/link")
    os.link(fake.dir + "/link", fake.dir + "/.lustre/fid/" + link, follow_symlinks=False)
    r = h.ask(op="get", path="link", want=["stat", "hsm", "dv", "layout"])
    check(r["fid"] == link and r["stat"]["type"] == "symlink", r)
    check(base64.b64decode(r["stat"]["target_b64"]) == b"to\xff", r)
    check(r["hsm"] == {"rc": -errno.ENOTTY} and r["dv"] == {"rc": -errno.ENOTTY}, r)
    os.mkfifo(fake.dir + "/fifo")  # must not block anybody
    fifo = fake.fid_of(fake.dir + "/fifo")
    os.link(fake.dir + "/fifo", fake.dir + "/.lustre/fid/" + fifo)
    r = h.ask(op="get", fid=fifo, want=["stat", "hsm", "action", "dv"])
    check(r["stat"]["type"] == "fifo" and r["hsm"] == {"rc": -errno.ENOTTY}, r)

    r = h.ask(op="get_many", fids=[fid, "0x1:0x1:0x1", "bad", odd], want=["hsm"])
    check([i["rc"] for i in r["items"]] == [0, -errno.ENOENT, -errno.EINVAL, 0], r)
    check(r["items"][0]["hsm"]["states"] == 9 and r["items"][3]["fid"] == odd, r)
    r = h.ask(op="get_many", paths=["a", "none", "/tmp"], want=["stat"])
    check([i["rc"] for i in r["items"]] == [0, -errno.ENOENT, -errno.EXDEV], r)
    r = h.ask(op="get_many", paths_b64=[name], want=["stat"])
    check(r["items"][0]["fid"] == odd, r)
    check(len(h.ask(op="get_many", fids=[fid] * 1000, want=["stat"])["items"]) == 1000)
    check(h.ask(op="get_many", fids=[fid] * 1001)["rc"] == -errno.EINVAL)
    check(h.ask(op="get_many", fids=[fid], paths=["a"])["rc"] == -errno.EINVAL)

    value = base64.b64encode(b"v" * 3000).decode()
    check(h.ask(op="set_xattr", fid=fid, name="trusted.two", value=value, flags=1)["rc"] == 0)
    check(h.ask(op="set_xattr", fid=fid, name="trusted.two", value=value, flags=1)["rc"] == -errno.EEXIST)
    check(os.getxattr(fake.dir + "/a", "trusted.two") == b"v" * 3000)
    r = h.ask(op="get_many", fids=[fid] * 1000, want=["xattrs"], xattrs=["trusted.two"])
    sizes = [i["rc"] for i in r["items"]]
    check(len(sizes) == 1000 and sizes[0] == 0 and sizes[-1] == -errno.E2BIG, sizes[:3], sizes[-3:])
    check(r["items"][-1]["fid"] == fid and len(json.dumps(r, separators=(",", ":"))) < 1 << 20)
    check(h.ask(op="remove_xattr", fid=fid, name="trusted.two")["rc"] == 0)
    check(h.ask(op="remove_xattr", fid=fid, name="trusted.two")["rc"] == -errno.ENODATA)
    check(h.ask(op="set_xattr", fid=fid, name="trusted.two", value="?")["rc"] == -errno.EINVAL)
    check(h.ask(op="hsm_set", fid=fid, set="2", clear="8", archive=3)["rc"] == 0)
    check("state_set 1 2 8 3\n" in fake.log())
    check(h.ask(op="data_version", fid=fid, flush=True)["dv"] == "78")
    fake.answer("data_version", -errno.EINVAL)
    check(h.ask(op="data_version", fid=fid)["rc"] == -errno.EINVAL)
    check(h.ask(op="get", fid=fid, want=["dv", "hsm"])["dv"] == {"rc": -errno.EINVAL})
    fake.answer("data_version", 0)

    lov = bytes.fromhex("d00bd10b010000800a00000000000000d10b000002000000000040000200ffff" + "00" * 24)
    os.setxattr(fake.dir + "/a", "trusted.lov", lov)
    r = h.ask(op="get", fid=fid, want=["layout"])["layout"]
    check(r == {"stripe_count": 2, "stripe_size": 4194304, "pattern": ["raid0", "released"], "pool": "",
                "osts": [], "composite": False}, r)
    check(h.ask(op="begin", cookie="1")["rc"] == -errno.ENOSYS)
    check(h.ask(op="dance")["rc"] == -errno.ENOSYS)
    check(h.ask(op="get", fid=fid, want=["nothing"])["rc"] == -errno.EINVAL)
    return h, fid


def test_lines(h, fid):
    for bad in (b"\n", b"{}\n", b"hello\n", b'{"n":1}\n', b'{"n":1,"op":"get","n":2}\n', b"\xff\xfe\n", b"[" * 5000 + b"\n"):
        h.raw(bad)
        if bad != b"\n":
            m = h.next()
            check(m["t"] == "error" and m["rc"] == -errno.EINVAL, bad[:40], m)
    h.raw(b'{"n":5,"op":"' + b"x" * (1 << 20) + b'"}\n')
    m = h.next()
    check(m["t"] == "error" and m["rc"] == -errno.EMSGSIZE, m)
    check(h.ask(op="get", fid=fid)["rc"] == 0, "in step again")
    many = [h.send(op="get", fid=fid, want=["stat"]) for _ in range(3000)]
    seen = {h.next("reply")["n"] for _ in many}
    check(seen == set(many))
    h.raw(b'{"n":7,"op":"get"')
    h.p.stdin.close()
    m = h.next()
    check(m["t"] == "error", m)
    check(h.next() is None and h.p.wait(PATIENCE) == 0)


ARCHIVE, RESTORE, REMOVE, CANCEL = 20, 21, 22, 23


def test_copytool(fake):
    lock = fake.dir + "/.fake/lock"
    h = start("copytool", fake, "--archive", "1", "--archive", "7", "--lock", lock)
    check(h.next() == {"t": "registered", "archives": [1, 7]})
    check(f"register {fake.dir} 2 1 1\n" in fake.log())
    second = Helper("copytool", "--mount", fake.dir, "--lock", lock)
    m = second.next()
    pid = h.p.pid if not prefix else m.get("holder")
    check((m["t"], m["code"], m.get("holder")) == ("fatal", "LOCKED", pid) and second.p.wait(PATIENCE) == 1, m)

    # archive
    a = fake.file("arch")
    fake.push(hal((ARCHIVE, a, 100, b"da\0ta"), archive=7, flags=4))
    m = h.next()
    check(m == {"t": "action", "action": "ARCHIVE", "fid": a, "dfid": a, "cookie": "100", "archive": 7, "flags": 4,
                "offset": "0", "length": str(2**64 - 1), "gid": "0",
                "data_b64": base64.b64encode(b"da\0ta").decode()}, m)
    r = h.ask(op="begin", cookie="100")
    check((r["rc"], r["dfid"], r["dv"]) == (0, a, "78"), r)
    check(h.ask(op="begin", cookie="100")["rc"] == -errno.EALREADY)
    fake.cut_log()
    check(h.ask(op="progress", cookie="100", offset="0", length="1000")["rc"] == 0)
    check(fake.cut_log() == f"progress 1 {a} 100 0+1000 flags=0 errval=0\n", "under the file's FID, on a directory")
    fake.answer("progress", -errno.ECANCELED)
    check(h.ask(op="progress", cookie="100", length="1")["rc"] == -errno.ECANCELED)
    fake.answer("progress", 0)
    fake.push(hal((ARCHIVE, a, 100, b"")))
    check(h.next()["t"] == "again")
    fake.push(hal((CANCEL, a, 100, b"")))
    m = h.next()
    check((m["t"], m["action"], m["cookie"]) == ("action", "CANCEL", "100"), m)
    fake.cut_log()
    check(h.ask(op="end", cookie="100", errval=125)["rc"] == 0)
    check(fake.cut_log() == "end 100 0+0 flags=0 errval=125\n")
    check(h.ask(op="end", cookie="100", errval=125)["rc"] == -errno.ENOENT)

    # a change while it was archived
    fake.push(hal((ARCHIVE, a, 101, b"")))
    h.next()
    h.ask(op="begin", cookie="101")
    fake.answer("end", -errno.EBUSY)
    check(h.ask(op="end", cookie="101", length="6")["rc"] == -errno.EBUSY)
    fake.answer("end", 0)

    # restores: too short, as it should be, refused
    for cookie, data in (("102", b"hel"), ("103", b"hello\n")):
        fake.push(hal((RESTORE, a, int(cookie), b"")))
        h.next()
        r = h.ask(op="begin", cookie=cookie, mdt=0)
        check(r["rc"] == 0 and r["dfid"].startswith("0x200000bd1:") and "layout_rc" in r, r)
        with open(fake.dir + "/.lustre/fid/" + r["dfid"], "r+b") as f:
            f.write(data)
        fake.cut_log()
        r = h.ask(op="end", cookie=cookie, length=str(len(data)))
        if len(data) < 6:
            check(r["rc"] == -errno.EIO and "errval=5" in fake.cut_log(), r)
        else:
            check(r["rc"] == 0 and fake.cut_log() == "end 103 0+6 flags=0 errval=0\n", r)
    fake.push(hal((RESTORE, a, 104, b"")))
    h.next()
    r = h.ask(op="begin", cookie="104")
    with open(fake.dir + "/.lustre/fid/" + r["dfid"], "r+b") as f:
        f.write(b"hello\n")
    fake.answer("end", -errno.EINVAL)
    fake.cut_log()
    r = h.ask(op="end", cookie="104")
    check(r["rc"] == -errno.EINVAL and f"progress 1 {a} 104 0+0 flags=1 errval=5\n" in fake.cut_log(), r)
    fake.answer("end", 0)

    # without begin
    fake.push(hal((REMOVE, a, 105, b""), (ARCHIVE, a, 106, b"")))
    h.next(), h.next()
    check(h.ask(op="end", cookie="105")["rc"] == -errno.EINVAL)
    fake.cut_log()
    check(h.ask(op="end", cookie="105", errval=16, retry=True)["rc"] == 0)
    check(fake.cut_log() == f"progress 1 {a} 105 0+0 flags=3 errval=16\n")
    check(h.ask(op="drop", cookie="106")["rc"] == 0 and h.ask(op="drop", cookie="106")["rc"] == -errno.ENOENT)

    # removal, error begin, cookies that two MDTs gave
    b = fake.file("other")
    fake.push(hal((REMOVE, a, 107, b""), (REMOVE, b, 107, b"")))
    h.next(), h.next()
    check(h.ask(op="begin", cookie="107")["rc"] == -errno.ENOTUNIQ)
    check(h.ask(op="begin", cookie="107", fid=b, is_error=True)["dfid"] == b)
    check("begin 22 %s 107 mdt=-1 flags=0 error=1" % b in fake.log())
    check(h.ask(op="end", cookie="107", fid=b, errval=5)["rc"] == 0)
    check(h.ask(op="begin", cookie="107")["rc"] == 0 and h.ask(op="end", cookie="107")["rc"] == 0)

    # malformed messages
    good = hal((ARCHIVE, a, 108, b""), (ARCHIVE, a, 109, b""))
    for bad in (good[:20], good[:100], hal((ARCHIVE, a, 1, b""), count=9), b"\2" + good[1:], hal((99, a, 1, b""))):
        fake.push(bad)
    got = [h.next() for _ in range(6)]
    check([m["t"] for m in got] == ["error", "error", "action", "error", "error", "error"], got)
    for m in got:
        if m["t"] == "action":
            h.ask(op="end", cookie=m["cookie"], errval=5)
    return h, lock, a


def test_adopt(h, fake, a):
    fields = dict(action="RESTORE", fid=a, dfid="0x200000bd1:0x99:0x0", cookie="200", archive=1, flags=0, offset="0",
                  length=str(2**64 - 1), gid="0", data_b64="")
    fake.cut_log()
    r = h.ask(op="adopt", **fields)
    check(r["rc"] == 0 and r["dfid"].startswith("0x200000bd1:"), r)
    check(h.ask(op="adopt", **fields)["rc"] == -errno.EEXIST)
    check(f"begin 21 {a} 200 " in fake.log())
    check(h.ask(op="end", cookie="200", errval=5)["rc"] == 0)
    fake.answer("begin", -errno.ENOENT)
    check(h.ask(op="adopt", **fields)["rc"] == -errno.ENOENT and h.ask(op="end", cookie="200", errval=5)["rc"] == -errno.ENOENT)
    fake.answer("begin", -errno.EINVAL)
    fake.cut_log()
    check(h.ask(op="adopt", **fields)["rc"] == -errno.EINVAL)
    check(h.ask(op="end", cookie="200", errval=5)["rc"] == 0)
    check(f"progress 1 {a} 200 0+0 flags=1 errval=5\n" in fake.log())
    fake.answer("begin", 0)
    check(h.ask(op="adopt", **{**fields, "action": "CANCEL"})["rc"] == -errno.EINVAL)


def test_again(h, fake, a):
    """The channel ends with an action running: registered again, and that action can still be ended."""
    fake.push(hal((ARCHIVE, a, 300, b"")))
    h.next()
    h.ask(op="begin", cookie="300")
    fake.cut_log()
    fake.push(b"")
    check(h.next() == {"t": "unregistered", "rc": -errno.ESHUTDOWN})
    check(h.next()["t"] == "registered")
    check("unregister" not in fake.log().replace("register ", ""), "llapi's handle points into the old registration")
    check(h.ask(op="end", cookie="300")["rc"] == 0)
    fake.cut_log()
    fake.answer("register", -errno.EAGAIN)
    fake.push(b"")
    check(h.next()["t"] == "unregistered")
    time.sleep(0.2)
    check(h.ask(op="adopt", action="ARCHIVE", fid=a, cookie="301")["rc"] == -errno.EAGAIN)
    fake.answer("register", 0)
    check(h.next()["t"] == "registered")
    fake.push(hal((ARCHIVE, a, 302, b"")))
    check(h.next()["cookie"] == "302")


def begun(h, fake, action, fid, cookie):
    fake.push(hal((action, fid, cookie, b"")))
    m = h.next()
    check((m["t"], m["cookie"]) == ("action", str(cookie)), m)
    r = h.ask(op="begin", cookie=str(cookie))
    check(r["rc"] == 0, r)
    return r


def wait_log(fake, text):
    until = time.monotonic() + PATIENCE
    while text not in fake.log() and time.monotonic() < until:
        time.sleep(0.02)
    check(text in fake.log(), text, fake.log())


def test_sent_again(h, fake, a):
    """The coordinator takes an error for 'try again' and sends the action before its end has come back."""
    for begin in (True, False):
        if begin:
            begun(h, fake, ARCHIVE, a, 310)
        else:
            fake.push(hal((ARCHIVE, a, 310, b"")))
            h.next()
        fake.answer("end_sleep", 60)
        fake.cut_log()
        n = h.send(op="end", cookie="310", errval=5, retry=True)
        wait_log(fake, " errval=5\n")
        fake.push(hal((ARCHIVE, a, 310, b"old")))
        fake.push(hal((ARCHIVE, a, 310, b"new"), (ARCHIVE, a, 311, b"")))
        check(h.next()["cookie"] == "311", "nothing is said of it before the reply")
        fake.answer("end_sleep", 0)
        reply, m = h.next("reply"), h.next("reply")
        check((reply["t"], reply.get("n"), reply.get("rc")) == ("reply", n, 0), reply)
        check((m["t"], m["cookie"], m["data_b64"]) == ("action", "310", base64.b64encode(b"new").decode()), m)
        r = h.ask(op="begin", cookie="310")
        check(r["rc"] == 0, "it is a new item", r)
        fake.push(hal((ARCHIVE, a, 310, b"")))
        check(h.next()["t"] == "again", "and no longer ending")
        for cookie in ("310", "311"):
            check(h.ask(op="end", cookie=cookie, errval=5)["rc"] == 0)
        check(h.ask(op="end", cookie="310", errval=5)["rc"] == -errno.ENOENT)


def test_end_again(h, fake, a):
    """Ends that did not come through are told again."""
    def end_meanwhile(op, **request):
        """Ends while `op` fails, waits for a second failure of it, and lets it succeed."""
        fake.answer("end", -errno.ENOTCONN)
        fake.answer(op, -errno.EAGAIN)
        fake.cut_log()
        n = h.send(op="end", **request)
        until = time.monotonic() + PATIENCE
        while fake.log().count(op + " ") < 2 and time.monotonic() < until:
            time.sleep(0.02)
        fake.answer("end", 0)
        fake.answer(op, 0)
        r = h.next("reply")
        while r["t"] != "reply" or r["n"] != n:
            r = h.next("reply")
        return r["rc"], fake.cut_log().splitlines()

    begun(h, fake, ARCHIVE, a, 320)
    rc, log = end_meanwhile("copy_end", cookie="320", length="6")
    check(rc == 0 and log[0] == "end 320 0+6 flags=0 errval=0", rc, log)
    check(set(log[1:]) == {f"copy_end {a} 320 0+6 flags=0 errval=0 dv=78"}, "with the data version of begin", log)

    begun(h, fake, ARCHIVE, a, 321)
    rc, log = end_meanwhile("progress", cookie="321", errval=5, retry=True)
    check(rc == 0 and set(log[1:]) == {f"progress 1 {a} 321 0+0 flags=3 errval=5"}, rc, log)

    begun(h, fake, REMOVE, a, 322)
    rc, log = end_meanwhile("progress", cookie="322")
    check(rc == 0 and set(log[1:]) == {f"progress 1 {a} 322 0+0 flags=1 errval=0"}, rc, log)

    fake.push(hal((RESTORE, a, 323, b"")))
    h.next()
    rc, log = end_meanwhile("progress", cookie="323", errval=5)
    check(rc == 0 and len(log) >= 3 and set(log) == {f"progress 1 {a} 323 0+0 flags=1 errval=5"}, rc, log)

    r = begun(h, fake, RESTORE, a, 324)
    volatile = fake.dir + "/.lustre/fid/" + r["dfid"]
    with open(volatile, "r+b") as f:
        f.write(b"hello\n")
    rc, log = end_meanwhile("copy_end", cookie="324", length="6")
    check(rc == 0 and set(log[1:]) == {f"copy_end {r['dfid']} 324 0+6 flags=0 errval=0 dv=0"}, rc, log)

    # what the second try says counts
    for again, want in ((-errno.EBUSY, -errno.EBUSY), (-errno.ENOENT, -errno.EIO), (-errno.ENOTTY, -errno.EIO)):
        begun(h, fake, ARCHIVE, a, 325)
        fake.answer("end", -errno.EIO)
        fake.answer("copy_end", again)
        fake.cut_log()
        check(h.ask(op="end", cookie="325")["rc"] == want, again)
        fake.answer("end", 0)
        fake.answer("copy_end", 0)
        ended = f"progress 1 {a} 325 0+0 flags=1 errval=5\n" in fake.cut_log()
        check(ended == (again != -errno.EBUSY), "a success that can't be told becomes an error", again)
        check(h.ask(op="end", cookie="325")["rc"] == -errno.ENOENT, "forgotten")

    # sent again: so it was heard
    begun(h, fake, ARCHIVE, a, 326)
    fake.answer("end", -errno.EIO)
    fake.answer("end_sleep", 60)
    fake.cut_log()
    n = h.send(op="end", cookie="326", length="6")
    wait_log(fake, "end 326")
    fake.push(hal((ARCHIVE, a, 326, b""), (CANCEL, a, 1, b"")))
    check(h.next()["action"] == "CANCEL")
    fake.answer("end_sleep", 0)
    reply, m = h.next("reply"), h.next("reply")
    check(reply.get("rc") == -errno.EIO and m["t"] == "action" and m["cookie"] == "326", reply, m)
    check(fake.cut_log() == "end 326 0+6 flags=0 errval=0\n")
    fake.answer("end", 0)
    check(h.ask(op="end", cookie="326", errval=5)["rc"] == 0)


def test_lanes(fake, a):
    """Begins that hang hold up neither heartbeats nor ends with an error, nor drops."""
    h = start("copytool", fake, "--threads", "2")
    h.next()
    fake.push(hal(*((ARCHIVE, a, 700 + i, b"") for i in range(5))))
    for _ in range(5):
        h.next()
    check(h.ask(op="begin", cookie="700")["rc"] == 0)
    fake.answer("begin_sleep", 600)
    stuck = [h.send(op="begin", cookie=str(701 + i)) for i in range(2)] + [h.send(op="get", fid=a) for _ in range(9)]
    check(h.ask(op="progress", cookie="700", length="1")["rc"] == 0)
    check(h.ask(op="progress", cookie="701", length="1")["rc"] == 0, "of one that hangs, too")
    check(h.ask(op="end", cookie="703", errval=125)["rc"] == 0)
    check(h.ask(op="end", cookie="700", errval="125")["rc"] == 0)
    check(h.ask(op="drop", cookie="704")["rc"] == 0)
    check(not any(n in h.replies for n in stuck), "they do hang")
    fake.answer("begin_sleep", 0)
    while len(stuck) > len([n for n in stuck if n in h.replies]):
        m = h.next("reply")
        h.replies[m["n"]] = m
    for cookie in ("701", "702"):
        check(h.ask(op="end", cookie=cookie)["rc"] == 0)
    # leaving is not held up by an end that does not come through
    begun(h, fake, ARCHIVE, a, 710)
    fake.answer("end", -errno.EAGAIN)
    fake.answer("copy_end", -errno.EAGAIN)
    fake.cut_log()
    h.send(op="end", cookie="710")
    wait_log(fake, "copy_end ")
    before = time.monotonic()
    check(h.end() == 0 and time.monotonic() - before < 12)
    check(f"progress 1 {a} 710 0+0 flags=1 errval=" in fake.log(), fake.log())
    fake.answer("end", 0)
    fake.answer("copy_end", 0)


def test_one_server_hangs(fake):
    """Of two metadata servers one hangs: its files' heartbeats and ends keep nobody else's waiting."""
    h = start("copytool", fake)
    h.next()
    near = [f"0x200000{n:03x}:0x1:0x0" for n in range(2)]
    far = [f"0x240000{n:03x}:0x1:0x0" for n in range(100)]
    fake.push(hal(*((REMOVE, fid, 1, b"") for fid in near + far)))
    for _ in near + far:
        h.next()
    for fid in far:
        check(h.ask(op="progress", cookie="1", fid=fid)["rc"] == 0)
    fake.answer("mdt1_sleep", 600)
    stuck = [h.send(op="progress", cookie="1", fid=fid) for fid in far for _ in range(2)]
    stuck += [h.send(op="end", cookie="1", fid=fid, errval=5) for fid in far]
    check(h.ask(op="progress", cookie="1", fid=near[0])["rc"] == 0)
    check(h.ask(op="end", cookie="1", fid=near[0], errval=5)["rc"] == 0)
    check(h.ask(op="progress", cookie="1", fid=near[1])["rc"] == 0)
    check(not any(n in h.replies for n in stuck), "they do hang")
    fake.answer("mdt1_sleep", 0)
    while not all(n in h.replies for n in stuck):
        m = h.next("reply")
        h.replies[m["n"]] = m
    check(h.ask(op="end", cookie="1", fid=near[1], errval=5)["rc"] == 0)
    check(h.end() == 0)


def test_renewal(fake, a):
    """The registration is renewed only while every metadata server answers; one that hangs does not hold up the end."""
    fake.answer("mdt1", -errno.EIO)
    h = start("copytool", fake, "--renew", "300")
    h.next()
    fake.cut_log()
    wait_log(fake, " 1 1\n")
    time.sleep(1)
    check("ct_start" not in fake.log(), fake.log())
    check(h.end() == 0)
    fake.answer("mdt1", -errno.ENODATA)  # set inactive: the kernel leaves it out
    h = start("copytool", fake, "--renew", "300")
    h.next()
    fake.cut_log()
    wait_log(fake, "register ")
    log = fake.log()
    check(log.index("statfs") < log.index("ct_start uid=2147483647") < log.index("ct_start uid=1 "), log)
    check(f"statfs {fake.dir} 1 2\n" in log, log)
    fake.push(hal((ARCHIVE, a, 800, b"")))
    check(h.next()["cookie"] == "800")
    fake.answer("mdt1", 0)
    fake.answer("mdt1_sleep", 600)
    check(h.ask(op="end", cookie="800", errval=5)["rc"] == 0)
    fake.cut_log()
    wait_log(fake, " 1 1\n")
    time.sleep(1)
    fake.push(hal((ARCHIVE, a, 801, b"")))
    check(h.next()["cookie"] == "801", "still registered")
    check("ct_start" not in fake.log(), fake.log())
    before = time.monotonic()
    check(h.end() == 0 and time.monotonic() - before < 8)
    check(" 801 0+0 flags=1 errval=4\n" in fake.log(), fake.log())
    fake.answer("mdt1_sleep", 0)


def test_keep(fake, a):
    """What is left goes behind what nobody has read yet, a torn line included."""
    keep = fake.dir + "/.fake/left"
    with open(keep, "w") as f:
        f.write('{"t":"act')
    for cookie in (900, 901):
        h = start("copytool", fake, "--keep", keep)
        h.next()
        fake.push(hal((ARCHIVE, a, cookie, b"")))
        h.next()
        check(h.end() == 0)
    with open(keep) as f:
        lines = [line for line in f.read().split("\n") if line]
    check(lines[0] == '{"t":"act' and [json.loads(line)["cookie"] for line in lines[1:]] == ["900", "901"], lines)


def test_leave(h, fake, a, lock):
    h.ask(op="begin", cookie="302")
    fake.push(hal((RESTORE, a, 303, b"")))
    h.next()
    fake.cut_log()
    n = h.send(op="quit", errval=11)
    last = None
    while (m := h.next("reply")) is not None:
        last = m
    check(last == {"t": "reply", "n": n, "rc": 0} and h.p.wait(PATIENCE) == 0, last)
    log = fake.cut_log()
    check("end 302 0+0 flags=0 errval=11\n" in log and f"progress 1 {a} 303 0+0 flags=1 errval=11\n" in log, log)
    check(log.rstrip().endswith("unregister"), log)

    for how in ("eof", "term", "int", "stuck"):
        h = start("copytool", fake, "--lock", lock, "--threads", "2")
        h.next()
        fake.push(hal((ARCHIVE, a, 400, b""), (ARCHIVE, fake.file("f" + how), 401, b"")))
        h.next(), h.next()
        check(h.ask(op="begin", cookie="400")["rc"] == 0)
        fake.cut_log()
        if how == "eof":
            h.p.stdin.close()
        elif how in ("term", "int"):
            # whoever has it on a pipe ends it by closing that: signals to the whole group are for the asker
            h.p.send_signal(signal.SIGTERM if how == "term" else signal.SIGINT)
            check(h.ask(op="progress", cookie="400")["rc"] == 0, how)
            h.p.stdin.close()
        else:
            fake.answer("begin_sleep", 100)
            h.send(op="begin", cookie="401")
            time.sleep(1)
            h.p.stdin.close()
        before = time.monotonic()
        status = h.p.wait(PATIENCE)
        fake.answer("begin_sleep", 0)
        check(status == 0 and time.monotonic() - before < 12, how, status)
        log = fake.cut_log()
        check("end 400 0+0 flags=0 errval=4\n" in log and " 401 0+0 flags=1 errval=4\n" in log, how, log)


def test_reader_gone(fake, a):
    """Nobody reads any more: the next line gives EPIPE, open actions are ended, and it leaves."""
    r, w = os.pipe()
    p = subprocess.Popen([*prefix, helper, "copytool", "--mount", fake.dir, "--liblustreapi", library],
                         stdin=subprocess.PIPE, stdout=w)
    os.close(w)
    got = b""
    while b"registered" not in got:
        got += os.read(r, 4096)
    os.close(r)
    fake.cut_log()
    fake.push(hal((ARCHIVE, a, 500, b"")))
    check(p.wait(PATIENCE) == 0)
    check(" 500 0+0 flags=1 errval=4\n" in fake.log(), fake.log())


def test_reader_sleeps(fake, a):
    """Nobody reads, but the pipe is open and full: what is open is ended all the same."""
    r, w = os.pipe()
    p = subprocess.Popen([*prefix, helper, "copytool", "--mount", fake.dir, "--liblustreapi", library],
                         stdin=subprocess.PIPE, stdout=w)
    os.close(w)
    got = b""
    while b"registered" not in got:
        got += os.read(r, 4096)
    fake.push(hal((ARCHIVE, a, 600, b"")))
    fake.cut_log()
    p.stdin.write(b"".join(b'{"n":%d,"op":"get","fid":"%s"}\n' % (i, a.encode()) for i in range(2000)))
    p.stdin.flush()
    time.sleep(1)
    p.stdin.close()
    check(p.wait(PATIENCE) == 0)
    check(" 600 0+0 flags=1 errval=4\n" in fake.log(), fake.log())
    os.close(r)


def main():
    fake = Fake()
    try:
        test_fatal(fake)
        h, fid = test_attrs(fake)
        test_lines(h, fid)
        h, lock, a = test_copytool(fake)
        test_adopt(h, fake, a)
        test_again(h, fake, a)
        test_sent_again(h, fake, a)
        test_end_again(h, fake, a)
        test_leave(h, fake, a, lock)
        test_lanes(fake, a)
        test_one_server_hangs(fake)
        test_renewal(fake, a)
        test_keep(fake, a)
        test_reader_gone(fake, a)
        test_reader_sleeps(fake, a)
    finally:
        shutil.rmtree(fake.dir)
    print(f"fake: {checks} checks, {failures} failed")
    sys.exit(failures != 0 or checks == 0)


if __name__ == "__main__":
    main()
