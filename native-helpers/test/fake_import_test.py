#!/usr/bin/env python3
"""The mode import over the fake liblustreapi: what it asks of Lustre, in which order, and what fails in between.

usage: fake_import_test.py HELPER FAKE_LIBRARY [PREFIX...]      (as root)
"""
import os, shutil, struct, sys

from fake_test import Fake, Helper, check
import fake_test

ROOT = "0x200000401:0x1:0x0"
RECORD = ['{"fid":"', '"}']


def half(fake, name, layout=None):
    """What a killed import leaves; only what has a FID can be gone on with here."""
    path = f"{fake.dir}/{name}"
    os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    fake.oid += 1
    os.setxattr(path, "trusted.lma", struct.pack("<IIQII", 0, 0, 0x200000401, fake.oid, 0))
    if layout is not None:
        os.setxattr(path, "trusted.lov", struct.pack("<IIQQIHH", 0x0BD10BD0, layout, 0, 0, 0, 1, 0))
    return path, f"0x200000401:{fake.oid:#x}:0x0"


def log(fake):
    """What was asked since the last look."""
    path = fake.dir + "/.fake/log"
    lines = open(path).read().splitlines() if os.path.exists(path) else []
    lines and os.unlink(path)
    return [line for line in lines if line.split()[0] in ("setstripe", "import", "state_set")]


def make(h, *items, **options):
    m = h.ask(op="make", list=[[ROOT, list(items)]], **options)
    check(m["rc"] == 0, m)
    return m["list"]


def item(name, mode=0o640, size="7"):
    return ["file", name, mode, 1000, 1001, -5, size, *RECORD]


def test_steps(fake, h):
    path, fid = half(fake, "a")
    check(make(h, item("a", 0o4640), archive=3, stripe_count=-1, pool="fast") == [fid])
    check(log(fake) == ["setstripe 0xbd30bd0 0x80000001 count=65535 offset=65535 pool=fast",
                        "import size=7 -5.0 -5.0 1000:1001 mode=100640 archive=3"])
    check(os.getxattr(path, "trusted.lfsazsync") == f'{{"fid":"{fid}"}}'.encode())
    check(os.stat(path).st_mode & 0o7777 == 0o4640, oct(os.stat(path).st_mode))
    # One that has its layout is not given another; one with data of its own is not ours.
    _, fid = half(fake, "b", 0x80000001)
    half(fake, "c", 0x1)
    done = make(h, item("b"), item("c"))
    check(done[0] == fid and done[1][0] == -17, done)
    check(log(fake) == ["import size=7 -5.0 -5.0 1000:1001 mode=100640 archive=1"])


def test_failures(fake, h):
    for answer, asked in (("setstripe", 1), ("import", 2)):
        path, _ = half(fake, answer)
        fake.answer(answer, -28)
        check(make(h, item(answer)) == [-28])
        check(len(log(fake)) == asked and os.path.exists(path), "what was not made now stays")
        fake.answer(answer, 0)
    # A new file here has no FID: what was made for nothing goes again.
    check(make(h, item("new"), ["empty", "none", 0o600, 0, 0, 0, *RECORD]) == [-61, -61])
    check(not os.path.exists(fake.dir + "/new") and not os.path.exists(fake.dir + "/none"))


def test_requests(fake, h):
    good = item("x")
    for bad in ({}, {"list": []}, {"list": [[ROOT, []]]}, {"list": [[ROOT, [good] * 257]]}, {"list": [[ROOT]]},
                {"list": [ROOT, [good]]}, {"list": [[ROOT, [good]]], "stripe_count": 2001},
                {"list": [[ROOT, [good]]], "stripe_count": -2}, {"list": [[ROOT, [good]]], "pool": "p" * 16},
                {"list": [[ROOT, [good]]], "archive": -1}):
        check(h.ask(op="make", **bad)["rc"] == -22, bad)
    unfit = [1, [], ["file"], ["file", "x"], [*good, 1], ["what", "x"], ["dir", "", 1, 2, 3], ["dir", "a/b", 1, 2, 3],
             ["dir", ".", 1, 2, 3], ["dir", "x" * 256, 1, 2, 3], ["dir", "x", 0o10000, 2, 3], ["dir", "x", 1, 2, 3, 4],
             ["dir", "x", 1, 2, 4294967296], item("x", size="0"), item("x", size="-1"), ["symlink", "x", 0, 0, 0, ""],
             ["symlink", "x", 0, 0, "0", "y"], ["link", "x", "y"], ["dir", {"b64": "YQBi"}, 1, 2, 3], ["dir", {"b64": "?"}, 1, 2, 3],
             ["empty", "x", 0, 0, 0, 0, "a", "b" * 16384]]
    check(make(h, *unfit) == [-22] * len(unfit))
    for op in ("attributes", "rebind", "remove"):
        for bad in ({}, {"list": []}, {"list": "x"}, {"list": [[]] * 257}):
            check(h.ask(op=op, **bad)["rc"] == -22, op, bad)
        check(h.ask(op=op, list=[[], 1, [ROOT], [ROOT, 1, 2, 3, 4, 5, 6, 7, 8, 9]])["list"] == [-22] * 4, op)
    check(log(fake) == [])


def main():
    fake = Fake()
    try:
        h = Helper("import", "--mount", fake.dir)
        check(h.next()["mode"] == "import")
        test_steps(fake, h)
        test_failures(fake, h)
        test_requests(fake, h)
        check(h.end() == 0)
    finally:
        shutil.rmtree(fake.dir)
    print(f"fake import: {fake_test.checks} checks, {fake_test.failures} failed")
    sys.exit(fake_test.failures != 0 or fake_test.checks == 0)


main()
