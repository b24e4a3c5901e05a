"""Runs `qconvert calibrate` on shards of the data at the same time and merges; see tools/calibrate-sharded."""
import argparse
import filecmp
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from release_binary import release_binary


def calibrate(command):
    """Runs one `qconvert calibrate`; what it says comes back as text where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr.strip() if done.returncode != 0 else None


def with_processes(commands):
    with ThreadPoolExecutor(len(commands)) as pool:
        return list(pool.map(calibrate, commands))


def with_ray(commands):
    import ray

    ray.init(num_cpus=len(commands), include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        task = ray.remote(num_cpus=1)(calibrate)
        return ray.get([task.remote(command) for command in commands])
    finally:
        ray.shutdown()


def demand(problems):
    problems = [problem for problem in problems if problem]
    if problems:
        sys.exit("tools/calibrate-sharded: " + "\n".join(problems))


def main():
    own, flags = sys.argv[1:], []
    if "--" in own:
        cut = own.index("--")
        own, flags = own[:cut], own[cut + 1:]
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("output")
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--with", dest="workers", choices=["ray", "processes"], default="ray")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--qconvert")
    args = parser.parse_args(own)
    qconvert = release_binary(args.qconvert)
    whole = [qconvert, "calibrate", os.path.abspath(args.model), "--data", os.path.abspath(args.data), *flags, "--threads", "1"]
    with tempfile.TemporaryDirectory() as folder:
        parts = [os.path.join(folder, f"{i}.json") for i in range(1, args.shards + 1)]
        commands = [[*whole, "--shard", f"{i}/{args.shards}", "-o", part] for i, part in enumerate(parts, 1)]
        demand(with_ray(commands) if args.workers == "ray" else with_processes(commands))
        demand([calibrate([qconvert, "calibrate", "--merge", *parts, "-o", args.output])])
        print(f"{args.output}: {args.shards} shards merged, {os.path.getsize(args.output)} bytes")
        if args.check:
            once = os.path.join(folder, "once.json")
            demand([calibrate([*whole, "-o", once])])
            if not filecmp.cmp(once, args.output, shallow=False):
                sys.exit("tools/calibrate-sharded: the merged statistics differ from those of one run")
            print("equal to one run, byte for byte")


main()
