"""The gateways that run, and their change while the bridge does."""

import asyncio
import logging

from host.bridge.core import Core, Gateway, keep_running
from host.bridge.errors import StartError
from host.bridge.gateways import GatewayPlan
from host.bridge.logs import event

LOG = logging.getLogger("fanwise.bridge")
STOP_S = 1.5


class RunningGateways:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._running: dict[str, tuple[GatewayPlan, Gateway, asyncio.Task[None]]] = {}

    async def start(self, plans: tuple[GatewayPlan, ...]) -> None:
        """Open what each listens on, then serve. Raises StartError; what was opened is closed."""
        made: list[tuple[GatewayPlan, Gateway]] = []
        try:
            for plan in plans:
                gateway = plan.make(self._core)
                await gateway.start()
                made.append((plan, gateway))
        except StartError:
            await asyncio.gather(*(gateway.stop() for _, gateway in made))
            raise
        for plan, gateway in made:
            task = asyncio.create_task(keep_running(plan.name, gateway.run), name=plan.name)
            self._running[plan.name] = (plan, gateway, task)

    async def change(self, plans: tuple[GatewayPlan, ...]) -> None:
        """Stop what is no longer wanted, start what is new; the same plan runs on untouched."""
        wanted = {plan.name: plan for plan in plans}
        unchanged = {n for n, (plan, *_) in self._running.items() if wanted.get(n) == plan}
        await self._end([name for name in self._running if name not in unchanged])
        for name, plan in wanted.items():
            if name in unchanged:
                continue
            try:
                await self.start((plan,))
                event(LOG, logging.INFO, "gateway started", gateway=name)
            except StartError as error:
                event(LOG, logging.ERROR, f"gateway not started: {error}", gateway=name)

    async def stop(self) -> None:
        await self._end(list(self._running))

    async def _end(self, names: list[str]) -> None:
        """Gateways first say goodbye on connections they still have."""
        ending = [self._running.pop(name) for name in names]
        stops = [asyncio.wait_for(gateway.stop(), STOP_S) for _, gateway, _ in ending]
        for result in await asyncio.gather(*stops, return_exceptions=True):
            if isinstance(result, Exception):
                event(LOG, logging.WARNING, "a gateway did not stop in order", reason=repr(result))
        for *_, task in ending:
            task.cancel()
        await asyncio.gather(*(task for *_, task in ending), return_exceptions=True)
