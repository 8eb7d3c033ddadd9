# SPDX-License-Identifier: Apache-2.0
"""An asynchronous handler: calls overlap, each waits until its partner has come."""

import asyncio
import os

from ts.handler_utils.utils import send_intermediate_predict_response


class Later:
    def __init__(self):
        self.waiting = {}

    def initialize(self, context):
        self.context = context

    async def handle(self, data, context):
        return [await self.one(bytes(row["body"]).decode(), context) for row in data]

    async def one(self, text, context):
        word, _, rest = text.partition(" ")
        if word == "large":
            await asyncio.sleep(0)
            return rest[0] * int(rest[1:])
        if word == "fail":
            raise ValueError(rest)
        if word == "stream":
            for i in range(int(rest)):
                send_intermediate_predict_response([f"{i} "], context.request_ids, "", 200, context)
                await asyncio.sleep(0)
            return "end"
        if word == "die":
            if not os.path.exists(rest):
                open(rest, "w").close()
                os.kill(os.getpid(), 9)
            return "survived"
        if word == "forever":
            return await self.forever(rest)
        if word == "kept":
            return await self.stream_with_another(*rest.split(), context)
        if word == "waits":
            return str(rest in self.waiting)
        return await self.meet(text)

    async def forever(self, file):
        try:
            open(file + ".began", "w").close()
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            open(file, "w").close()
            raise

    async def stream_with_another(self, name, mark, context):
        """Streams with the context that came last, and with none."""
        ids, self.context = context.request_ids, context
        await self.meet(name)
        for kept in (self.context, None):
            send_intermediate_predict_response([mark + " "], ids, "", 200, kept)
        return mark

    async def meet(self, name):
        """Two requests of the same name answer each other."""
        if name in self.waiting:
            self.waiting.pop(name).set_result("second")
            return f"{name}: second"
        self.waiting[name] = asyncio.get_running_loop().create_future()
        return f"{name}: first, then {await self.waiting[name]}"
