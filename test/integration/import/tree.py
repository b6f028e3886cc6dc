#!/usr/bin/env python3
"""Makes a tree of everything that a file system can hold and a container can say: tree.py DIRECTORY FILES"""
import os, sys

top, count = os.fsencode(sys.argv[1]), int(sys.argv[2])
os.makedirs(top)
os.chdir(top)


def write(name, data, mode=0o644, uid=0, gid=0, mtime=1_500_000_000):
    with open(name, "wb") as f:
        f.write(data)
    os.chown(name, uid, gid)
    os.chmod(name, mode)
    os.utime(name, (mtime, mtime))


odd = [b"with space", b"\xc3\xa4\xe2\x82\xac", b"bad\xff\xfe", b"new\nline", b"back\\slash", b"dot.", b"per%41cent", b"q'uote\"",
       b"n" * 255, b".hidden", b" lead", b"#?&=+", b"a" * 120 + b"\xc3\xb6" * 60]
for i, name in enumerate(odd):
    write(name, b"%d:" % i + name, 0o640, 1000 + i, 2000 + i, 1_400_000_000 + i)
for mode in (0o4755, 0o2711, 0o1777, 0o0000, 0o6777):
    write(b"mode-%o" % mode, b"x" * (mode % 97 + 1), mode, 7, 8)
write(b"empty", b"", 0o600, 5, 6)
write(b"old", b"before 1970", mtime=-100_000)
write(b"large", os.urandom(1 << 20) * 3)
os.makedirs(b"/".join([b"d%d" % i for i in range(60)]))
write(b"/".join([b"d%d" % i for i in range(60)]) + b"/bottom", b"deep")
os.mkdir(b"links")
write(b"links/first", b"several names", 0o604)
os.link(b"links/first", b"links/second")
os.link(b"links/first", b"d0/third")
os.symlink(b"../first", b"links/relative")
os.symlink(b"/absolute/\xff/target", b"links/absolute")
os.symlink(b"t" * 3000, b"links/long")
os.lchown(b"links/relative", 11, 12)
os.utime(b"links/relative", (1_300_000_000, 1_300_000_000), follow_symlinks=False)
os.makedirs(b"empty dir/in it")
os.chmod(b"empty dir", 0o1700)
os.chown(b"empty dir", 33, 44)
for i in range(count):
    directory = b"many/%d" % (i // 200)
    if i % 200 == 0:
        os.makedirs(directory)
    write(directory + b"/f%d" % i, b"%d" % i, mtime=1_500_000_000 + i % 1000)
# Directories' own times last, deepest first.
for path, _, _ in os.walk(b".", topdown=False):
    os.utime(path, (1_450_000_000, 1_450_000_000))
