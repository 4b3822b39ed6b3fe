"""permessage-deflate (RFC 7692) for a device that is told much and says little: it inflates, and compresses nothing.

The service compresses pages that many devices get. What a device says is small and goes plain, as the RFC lets it:
the library's own extension would compress each ack, and keep a compressor of 300 KB for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame
from websockets.typing import ExtensionParameter


class InflatingFactory(ClientPerMessageDeflateFactory):
    """What is offered: any form of the extension, the service chooses."""

    def __init__(self) -> None:
        super().__init__(client_no_context_takeover=True)

    def process_response_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> Inflating:
        """Raises NegotiationError where the answer does not fit the offer."""
        answer = super().process_response_params(params, accepted_extensions)
        return Inflating(
            remote_no_context_takeover=answer.remote_no_context_takeover,
            local_no_context_takeover=True,
            remote_max_window_bits=answer.remote_max_window_bits,
            local_max_window_bits=answer.local_max_window_bits,
        )


class Inflating(PerMessageDeflate):
    def encode(self, frame: Frame) -> Frame:
        return frame
