"""A storage server as programs write one: it saves what has come from its hook, and answers what the error says.

As a program it takes the options of `samples/store_scp.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ldicomnet import LDicomDataError, LDicomDS, LDicomNet, Status

from .storing import store_scp
from .support import accept_all

SPOOLED = 1 << 10
"""Bytes from which on a data set is spooled to a temporary file first."""


class Archive(LDicomNet):
    """Stores into `folder`, by way of temporary files in `spools`."""

    def __init__(self, folder: Path, spools: Path | None = None) -> None:
        super().__init__(spools)
        self.limits.memory_data_set = SPOOLED
        self.stored_in = folder

    def on_receive_associate_request(self, associate: Any) -> None:
        """Whatever is wanted."""
        accept_all(self, associate)

    def on_receive_c_store_request(  # type: ignore[override]
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, *rest: Any
    ) -> None:
        """Save it."""
        dataset: LDicomDS = rest[-1]
        status = Status.SUCCESS
        try:
            dataset.save(self.stored_in / dataset.file_name)
        except LDicomDataError as error:
            status = error.status
        self.send_c_store_response(presentation_id, message_id, sop_class_uid, sop_instance_uid, status)


if __name__ == "__main__":
    _options = store_scp.parse()
    store_scp.common.log_as(_options)
    sys.exit(store_scp.common.serve(Archive(Path(_options.output_directory)), _options))
