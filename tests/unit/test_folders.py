"""pgcellar.postgres.folders: what is refused because somebody else may have put it there."""

from __future__ import annotations

import os
import pathlib
import stat

import pytest

from pgcellar.api import errors
from pgcellar.postgres import account, folders

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root makes folders for others")
STRANGER = account.Account(name="stranger", uid=54321, gid=54321)


def mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o077], ids=["open umask", "strict umask"], autouse=True)
def _umask(request: pytest.FixtureRequest) -> object:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_made_with_its_parents(cellar_home: pathlib.Path) -> None:
    path = cellar_home / "a" / "b"
    assert folders.private_folder(path) == path
    assert mode(path) == 0o700
    assert mode(path.parent) == (folders.PASSABLE if os.getuid() == 0 else 0o700)
    folders.private_folder(path)


def test_one_that_others_may_read_is_closed(cellar_home: pathlib.Path) -> None:
    path = cellar_home / "a"
    path.mkdir()
    path.chmod(0o755)
    folders.private_folder(path)
    assert mode(path) == 0o700


@pytest.mark.parametrize("bits", [0o777, 0o770, 0o1777])
def test_one_that_others_may_write_to_is_refused(cellar_home: pathlib.Path, bits: int) -> None:
    path = cellar_home / "a"
    path.mkdir()
    path.chmod(bits)
    with pytest.raises(errors.PostgresFailed, match="own"):
        folders.private_folder(path)


def test_links_and_files_are_refused(cellar_home: pathlib.Path) -> None:
    (cellar_home / "real").mkdir(mode=0o700)
    (cellar_home / "link").symlink_to(cellar_home / "real")
    (cellar_home / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(errors.PostgresFailed, match="not a folder"):
            folders.private_folder(cellar_home / name)


def test_below_a_folder_where_anybody_may_replace_it_is_refused(
    cellar_home: pathlib.Path,
) -> None:
    shared = cellar_home / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(errors.PostgresFailed, match="Anybody"):
        folders.private_folder(shared / "a" / "b")
    shared.chmod(0o1777)
    folders.private_folder(shared / "a" / "b")


@as_root
def test_what_another_user_put_into_a_shared_folder_is_refused(
    cellar_home: pathlib.Path,
) -> None:
    shared = cellar_home / "shared"
    (shared / "a").mkdir(parents=True)
    shared.chmod(0o1777)
    os.chown(shared / "a", STRANGER.uid, STRANGER.gid)
    (shared / "link").symlink_to(cellar_home)
    os.lchown(shared / "link", STRANGER.uid, STRANGER.gid)
    for name in ("a", "a/b", "link/b"):
        with pytest.raises(errors.PostgresFailed, match="own"):
            folders.private_folder(shared / name)


@as_root
def test_the_account_gets_its_folder_and_can_reach_it(cellar_home: pathlib.Path) -> None:
    path = folders.private_folder(cellar_home / "a" / "b", account=STRANGER)
    assert (path.stat().st_uid, path.parent.stat().st_uid) == (STRANGER.uid, 0)
    assert folders.closed(path, STRANGER) is None
    folders.private_folder(path, account=STRANGER)
    path.parent.chmod(0o700)
    assert folders.closed(path, STRANGER) == path.parent
    with pytest.raises(errors.PostgresFailed, match="is closed to it"):
        folders.private_folder(path, account=STRANGER)


@as_root
def test_what_root_gave_to_another_account_can_be_given_anew(cellar_home: pathlib.Path) -> None:
    path = folders.private_folder(cellar_home / "a", account=STRANGER)
    other = account.Account(name="other", uid=54322, gid=54322)
    assert folders.private_folder(path, account=other).stat().st_uid == other.uid


@as_root
def test_a_tree_is_given_without_following_links(cellar_home: pathlib.Path) -> None:
    (cellar_home / "tree" / "sub").mkdir(parents=True)
    (cellar_home / "outside").touch()
    (cellar_home / "tree" / "sub" / "link").symlink_to(cellar_home / "outside")
    folders.give(cellar_home / "tree", STRANGER)
    assert (cellar_home / "tree" / "sub").stat().st_uid == STRANGER.uid
    assert (cellar_home / "outside").stat().st_uid == 0


def test_removing_leaves_nothing_and_sweeping_what_was_left(cellar_home: pathlib.Path) -> None:
    path = folders.private_folder(cellar_home / "a")
    (path / "file").touch()
    folders.private_folder(cellar_home / ".a.1234.gone")
    (cellar_home / ".a.file").touch()
    folders.remove(path)
    folders.remove(path)
    folders.sweep(path)
    assert list(cellar_home.iterdir()) == []
