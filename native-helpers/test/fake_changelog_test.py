#!/usr/bin/env python3
"""The mode changelog over the fake liblustreapi: odd records, ends and errors, and what may be cleared.

usage: fake_changelog_test.py HELPER FAKE_LIBRARY [PREFIX...]      (as root)
"""
import os, shutil, struct, sys, time

import fake_test
from fake_test import Fake, Helper, check, library

CREAT, RENME, XATTR = 1, 8, 15
RENAME, EXTRA = 0x2000, 0x8000


def fid(oid, seq=0x200000401):
    return struct.pack("<QII", seq, oid, 0)


def record(index, kind=CREAT, name=b"", flags=0x1000, extension=b"", cut=None, namelen=None):
    data = (struct.pack("<HHIQQQ", len(name) if namelen is None else namelen, flags, kind, index, 0, 5 << 30)
            + fid(index) + fid(1, 0x200000007) + extension + name)[:cut]
    return struct.pack("<I", len(data)) + data


def lay(fake, *records, last=None):
    with open(fake.dir + "/.fake/changelog.new", "wb") as f:
        f.write(b"".join(records))
    os.rename(fake.dir + "/.fake/changelog.new", fake.dir + "/.fake/changelog")
    if last is not None:
        fake.answer("cl_last", last)


def start(fake, *args):
    h = Helper("changelog", "--mount", fake.dir, "--mdt", "fakefs-MDT0000", "--interval", "20", *args)
    return h, h.next()


def until(h, t):
    while True:
        m = h.next()
        if m is None or m["t"] == t:
            return m


def test_fatal(fake):
    for args in ([], ["--mdt", "otherfs-MDT0000"], ["--mdt", "fakefs-MDT000"], ["--mdt", "fakefs-MDT0000/../x"],
                 *(["--mdt", "fakefs-MDT0000", "--user", user] for user in ("", "1", "cl", "cl0", "cl1x", "clear:cl1:9"))):
        h = Helper("changelog", "--mount", fake.dir, *args)
        m = h.next()
        check(m["t"] == "fatal" and m["code"] == "USAGE", args, m)
    fake.answer("llapi_changelog_start", -2)
    h, m = start(fake)
    check(m["t"] == "fatal" and m["code"] == "NO_CHANGELOG" and m["rc"] == -2, m)
    fake.answer("llapi_changelog_start", 0)


def test_records(fake):
    owner = struct.pack("<QQQ", 1, 1000, 100)
    lay(fake, record(1, name=b"a", flags=0x9000, extension=owner), record(2, name=b"b\xff"),
        record(3, RENME, b"new\0old", 0x3001, fid(7) + fid(8)),
        record(4, name=b"lying", namelen=60000), record(5, flags=0x9000, extension=struct.pack("<Q", 1 << 20)),
        record(6, 77, b"x"), last=6)
    h, hello = start(fake, "--user", "cl1")
    check(hello["t"] == "hello" and hello["mode"] == "changelog", hello)
    m = h.next()
    check(m["t"] == "records" and [r[0] for r in m["list"]] == [1, 2, 3], m)
    check(m["list"][0] == [1, 1, 0, 5000, "0x200000401:0x1:0x0", "0x200000007:0x1:0x0", "a", 1000, 100], m)
    check(m["list"][1][6] == {"b64": "Yv8="}, m)
    check(m["list"][2][6:] == ["new", None, None, "0x200000401:0x7:0x0", "0x200000401:0x8:0x0", "old"], m)
    for index in (4, 5):
        m = h.next()
        check(m["t"] == "malformed" and m["index"] == index and m["type"] == 1, m)
    m = h.next()
    check(m["t"] == "records" and [r[:2] for r in m["list"]] == [[6, 77]], m)
    check(h.next() == {"t": "end", "next": 7})
    return h


def test_follow(h, fake):
    lay(fake, *(record(i, name=b"n") for i in range(1, 10)), last=9)
    m = until(h, "records")
    check([r[0] for r in m["list"]] == [7, 8, 9], m)
    check(" 7\n" in fake.log() and "start fakefs-MDT0000 8 1\n" in fake.log(), "opened at the next index")
    fake.answer("llapi_changelog_recv", -5)
    m = until(h, "lost")
    check(m["rc"] == -5 and m["next"] == 10, m)
    fake.answer("llapi_changelog_recv", 0)
    m = until(h, "reopened")
    check(m["next"] == 10, m)
    fake.answer("llapi_changelog_start", -19)
    check(until(h, "lost")["rc"] == -19)
    fake.answer("llapi_changelog_start", 0)
    check(until(h, "reopened") is not None)
    # What comes out of order is not told twice.
    lay(fake, record(10, name=b"n"), record(3, name=b"n"), record(11, name=b"n"), last=11)
    check([r[0] for r in until(h, "records")["list"]] == [10, 11])


def test_clear(h, fake):
    fake.cut_log()
    for index in (0, 12, 2**63, "0"):
        check(h.ask(op="clear", index=index)["rc"] == -22, index)
    check(h.ask(op="clear")["rc"] == -22)
    check("clear" not in fake.log(), "nothing of this reached Lustre", fake.log())
    check(h.ask(op="clear", index=5)["rc"] == 0)
    check("clear fakefs-MDT0000 cl1 5\n" in fake.cut_log())
    # Each version says it differently that the user was cleared beyond.
    fake.answer("cl_user", 8)
    for rc in (0, -22):
        fake.answer("cl_below", rc)
        check(h.ask(op="clear", index=7)["rc"] == -2, rc)
    fake.answer("cl_gone", 1)
    check(h.ask(op="clear", index=11)["rc"] == -2)
    fake.answer("cl_gone", 0)
    fake.answer("cl_last", 6)
    check(h.ask(op="clear", index=11)["rc"] == -34, "the changelog began anew")
    fake.answer("llapi_changelog_clear", -5)
    check(h.ask(op="clear", index=11)["rc"] == -5)
    check(h.ask(op="last_index")["rc"] == -5)
    fake.answer("llapi_changelog_clear", 0)
    fake.cut_log()
    for last in (0, 1, 6, 10, 11, 12, 1000, 123456789):
        fake.answer("cl_last", last)
        m = h.ask(op="last_index")
        check(m["rc"] == 0 and m["index"] == last, last, m)
    log = fake.cut_log()
    check(" cl1 " not in log and " 0\n" not in log.replace("start fakefs", ""), "asking clears nothing", log[:400])
    check(log.count("clear") < 250, log.count("clear"))
    check(h.end() == 0)


def test_leave(fake):
    """Nobody reads: it waits, and leaves all the same."""
    lay(fake, *(record(i, name=b"n" * 200) for i in range(1, 30001)), last=30000)
    h = fake_test.subprocess.Popen([*fake_test.prefix, fake_test.helper, "changelog", "--mount", fake.dir, "--mdt", "fakefs-MDT0000",
                                    "--liblustreapi", library], stdin=-1, stdout=-1)
    h.stdout.readline()
    time.sleep(0.5)
    h.stdin.close()
    check(h.wait(fake_test.PATIENCE) == 0)
    h.stdout.close()
    # All of them, in order, in lines that are not too long.
    h, _ = start(fake)
    seen = 0
    while seen < 30000:
        m = until(h, "records")
        check(m["list"][0][0] == seen + 1 and len(m["list"]) <= 1000)
        seen += len(m["list"])
    check(h.ask(op="clear", index=1)["rc"] == -22, "no user")
    check(h.end() == 0)


def main():
    fake = Fake()
    try:
        test_fatal(fake)
        h = test_records(fake)
        test_follow(h, fake)
        test_clear(h, fake)
        test_leave(fake)
    finally:
        shutil.rmtree(fake.dir)
    print(f"fake changelog: {fake_test.checks} checks, {fake_test.failures} failed")
    sys.exit(fake_test.failures != 0 or fake_test.checks == 0)


main()
