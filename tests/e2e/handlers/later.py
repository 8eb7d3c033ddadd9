# SPDX-License-Identifier: Apache-2.0
"""An asynchronous handler: calls overlap, each waits until its partner has come."""

import asyncio


class Later:
    def __init__(self):
        self.waiting = {}

    def initialize(self, context):
        self.context = context

    async def handle(self, data, context):
        return [await self.meet(bytes(row["body"]).decode()) for row in data]

    async def meet(self, name):
        """Two requests of the same name answer each other."""
        if name in self.waiting:
            self.waiting.pop(name).set_result("second")
            return f"{name}: second"
        self.waiting[name] = asyncio.get_running_loop().create_future()
        return f"{name}: first, then {await self.waiting[name]}"
