# SPDX-License-Identifier: Apache-2.0
"""Two machines share data and what stages made of them through a bucket: a server of the S3
protocol on this machine, and two clones with caches of their own."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from support.clones import call, commit, tiny_clone

pytestmark = pytest.mark.contract

KEYS = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a server with an empty bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    keys = {name.lower(): value for name, value in KEYS.items() if "KEY" in name}
    boto3.client("s3", endpoint_url=address, region_name="us-east-1", **keys).create_bucket(
        Bucket="faces"
    )
    yield address
    server.stop()


@pytest.fixture(scope="module")
def machines(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """One that has packed the set and pushed it, and another with nothing but the commit."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setitem(call.__globals__["ENV"], name, value)
        home = tmp_path_factory.mktemp("machines")
        first = tiny_clone(home / "first")
        for command in (
            ("dvc", "remote", "add", "--default", "store", "s3://faces/facetell"),
            ("dvc", "remote", "modify", "store", "endpointurl", server),
            ("dvc", "repro", "pack"),
        ):
            call(first, *command)
        commit(first)
        call(first, "dvc", "push", "pack", "--with-deps", "--run-cache")
        call(home, "git", "clone", "-q", "first", "second")
        yield first, home / "second"


def digests(home: Path) -> dict[str, str]:
    """Of all data, by path."""
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((home / "data").rglob("*"))
        if path.is_file() and path.name != ".gitignore"
    }


def test_another_machine_gets_the_same_files_and_runs_nothing(machines):
    first, second = machines
    assert digests(second) == {}
    call(second, "dvc", "pull", "pack", "--with-deps")
    assert digests(second) == digests(first)
    assert len(digests(first)) > 3
    assert "Running stage" not in call(second, "dvc", "repro", "pack")


def test_with_other_settings_another_machine_comes_to_the_same_files(machines):
    """No commit knows of them."""
    first, second = machines
    for home in machines:
        params = (home / "params.yaml").read_text(encoding="utf-8")
        assert params.count("harmonise: false") == 1
        params = params.replace("harmonise: false", "harmonise: true")
        (home / "params.yaml").write_text(params, encoding="utf-8", newline="\n")
    assert "Running stage 'pack'" in call(first, "dvc", "repro", "pack")
    call(first, "dvc", "push", "pack", "--with-deps", "--run-cache")
    said = call(second, "dvc", "repro", "pack", "--pull")
    # dvc looks up neither what goes into git, as of split, nor what is kept, as of pack
    assert said.count("Running stage") == 2
    assert digests(second) == digests(first)
