#!/usr/bin/env python3
"""The mode scan and the operation entries over the fake liblustreapi: what can't be looked at, and leaving in the middle.

usage: fake_scan_test.py HELPER FAKE_LIBRARY [PREFIX...]      (as root)
"""
import os, shutil, subprocess, sys, time

import fake_test
from fake_test import Fake, Helper, check

ROOT = "0x200000401:0x1:0x0"


def until(h, t):
    while True:
        m = h.next()
        if m is None or m["t"] == t:
            return m


def walk(h, *fids):
    """All entries, directories and failures of a walk."""
    h.send(op="walk", fids=list(fids))
    h.given = given = getattr(h, "given", 0) + len(fids)
    rows, directories, failed = [], [], []
    while True:
        m = h.next()
        if m["t"] == "idle" and m["given"] == given:
            return rows, directories, failed, m
        if m["t"] == "entries":
            rows += [(parent, row) for parent, group in m["list"] for row in group]
            directories += m["directories"]
            failed += m["failed"]


def test_walk(fake):
    a = fake.file("a")
    fake.file(b"b\xff\n")
    with open(fake.dir + "/nobody", "w"):
        pass  # without a FID
    h = Helper("scan", "--mount", fake.dir, "--threads", "3")
    check(h.next()["mode"] == "scan")
    for bad in ({}, {"fids": []}, {"fids": ["x"]}, {"fids": [ROOT] * 1001}, {"fids": ROOT}, {"fids": [1]}):
        check(h.ask(op="walk", **bad)["rc"] == -22, bad)
    rows, directories, failed, idle = walk(h, ROOT)
    names = {row[1] if isinstance(row[1], str) else row[1]["b64"]: row for _, row in rows}
    check(names["a"][0] == a and names["a"][2] == 0o100644 and names["a"][6] == 6, names)
    check("Yv8K" in names and ".lustre" not in names, names)
    check([f[1] for f in failed if f[1] == "nobody"] == ["nobody"] and all(f[0] == ROOT and f[2] < 0 for f in failed), failed)
    check([d for d in directories if d[0] == ROOT] == [[ROOT, len(rows), 0]], directories)
    check(idle["failed"] == len(failed) and idle["entries"] == len(rows), idle)
    # By FID, with one that is gone between.
    m = h.ask(op="entries", fids=[a, "0x200000401:0xfff:0x0", a])
    check(m["rc"] == 0 and m["list"][1] == -2 and m["list"][0] == m["list"][2] and m["list"][0][0] == a, m)
    # With what is under way for it: what is no file has nothing.
    m = h.ask(op="entries", fids=[a, ROOT], actions=True)
    check(m["list"][0][20] == {"action": "RESTORE", "state": "running", "done": "1000"} and m["list"][1][20] == -25, m)
    # An archive that ends meanwhile is told as under way: it is never missed by both.
    fake.answer("archive_ends", 1)
    row = h.ask(op="entries", fids=[a], actions=True)["list"][0]
    check(row[20]["action"] == "ARCHIVE" and row[13] == 9, row)
    fake.answer("archive_ends", 0)
    for bad in ({}, {"fids": []}, {"fids": [a, "x"]}, {"fids": [a], "actions": 1}):
        check(h.ask(op="entries", **bad)["rc"] == -22, bad)
    # What is a file is not walked; what is not there neither.
    _, directories, _, _ = walk(h, a, "0x200000401:0xfff:0x0")
    check(sorted(d[2] for d in directories) == [-20, -2], directories)
    check(h.end() == 0)


def test_huge(fake):
    """One directory for all threads, and nobody who reads: it waits, and leaves all the same."""
    for i in range(3000):
        fake.file(f"f{i:05}" + "x" * 200, b"")
    h = Helper("scan", "--mount", fake.dir, "--threads", "4")
    h.next()
    rows, directories, _, _ = walk(h, ROOT)
    check(len({row[0] for _, row in rows}) == len(rows) and len(rows) >= 3000, len(rows))
    check([d[1:] for d in directories if d[0] == ROOT] == [[len(rows), 0]], directories)
    check(h.end() == 0)
    p = subprocess.Popen([*fake_test.prefix, fake_test.helper, "scan", "--mount", fake.dir, "--liblustreapi", fake_test.library],
                         stdin=-1, stdout=-1)
    p.stdout.readline()
    p.stdin.write(b'{"n":1,"op":"walk","fids":["%s"]}\n' % ROOT.encode())
    p.stdin.flush()
    time.sleep(0.5)
    p.stdin.close()
    check(p.wait(fake_test.PATIENCE) == 0)
    p.stdout.close()


def main():
    fake = Fake()
    try:
        test_walk(fake)
        test_huge(fake)
    finally:
        shutil.rmtree(fake.dir)
    print(f"fake scan: {fake_test.checks} checks, {fake_test.failures} failed")
    sys.exit(fake_test.failures != 0 or fake_test.checks == 0)


main()
