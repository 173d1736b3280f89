"""The docker command line, with deadlines, and the namespaces of a container."""
import os
import subprocess


class CommandFailed(Exception):
    pass


def run(*argv, timeout=60, check=True, stdin=None):
    """Runs a command; its output, stripped. A failure tells the command and what it said."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{' '.join(argv)}: not done within {timeout} s") from None
    if check and done.returncode != 0:
        raise CommandFailed(f"{' '.join(argv)}: exit {done.returncode}: {(done.stdout + done.stderr).strip()[-2000:]}")
    return done.stdout.strip()


def docker(*argv, **more):
    return run("docker", *argv, **more)


def host_path(path):
    """A path of this container as the docker engine sees it (bind mounts are its business)."""
    inside = os.environ.get("PGVIGIL_INSIDE_DIR", "/src")
    outside = os.environ.get("PGVIGIL_HOST_DIR", inside)
    path = os.path.abspath(path)
    if path == inside or path.startswith(inside + "/"):
        return outside + path[len(inside):]
    return path


def pid_of(container):
    return int(docker("inspect", "-f", "{{.State.Pid}}", container))


def is_running(container):
    return docker("inspect", "-f", "{{.State.Running}}", container, check=False) == "true"


def in_network_of(container, *argv, **more):
    """Runs a program of this image in the container's network namespace."""
    return run("nsenter", "-t", str(pid_of(container)), "-n", *argv, **more)
