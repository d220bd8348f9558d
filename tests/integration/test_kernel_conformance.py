"""The kernel against Jupyter's own conformance tests."""

from __future__ import annotations

from typing import Any, ClassVar

import jupyter_kernel_test
import pytest


@pytest.mark.usefixtures("kernel_home")
class TestKernel(jupyter_kernel_test.KernelTests):
    """What the kernel says it can do."""

    kernel_name = "pgcellar"
    language_name = "sql"
    file_extension = ".sql"
    code_hello_world = "do $$ begin raise notice 'hello, world'; end $$"
    code_inspect_sample = "vacuum"
    code_generate_error = "select 1/0"
    code_display_data: ClassVar[list[dict[str, Any]]] = [
        {"code": "select 1 as one", "mime": "text/html"},
        {"code": "create table made (a int)", "mime": "text/plain"},
    ]
    complete_code_samples: ClassVar[list[str]] = ["select 1;", "\\x", "do $$ begin end $$;"]
    incomplete_code_samples: ClassVar[list[str]] = ["select 'a", "select (1", "do $$ begin"]
    completion_samples: ClassVar[list[dict[str, Any]]] = [
        {"text": "sel", "matches": {"select"}},
        {"text": "select 1 FRO", "matches": {"FROM"}},
    ]

    def setUp(self) -> None:
        """The first cell of all may show what it waits for."""
        super().setUp()
        self.execute_helper("select 1")

    def test_notices_on_stdout(self) -> None:
        """A notice is output, not a word on stderr."""
        self.flush_channels()
        reply, messages = self.execute_helper("do $$ begin raise notice 'hello, world'; end $$")
        assert reply["content"]["status"] == "ok"
        streams = [m["content"] for m in messages if m["msg_type"] == "stream"]
        assert streams == [{"name": "stdout", "text": "NOTICE:  hello, world\n"}]
