"""Several workers, one broker, virtual time and one seed: what goes wrong in production, in memory.

```python
def check(outcome: Outcome) -> None:
    assert outcome.last_values("totals") == ...

explore(topology, inputs, check, seeds=range(1_000), processing_guarantee="exactly_once")
```

A step of a simulation is one of: a worker takes a step; time passes; a worker is killed, with what
its disk had not synced, or with its disk; it is paused until the group has given it up; it leaves in
order; the group gives it up although it is there; the broker aborts its transaction; a partition's
leader is killed, and what it had not acknowledged is there or is not; nobody reaches the broker; records
are written. Requests get lost, and answers do; queues of producers are full. All of it is drawn from one
seed: the same seed is the same run.
"""

from __future__ import annotations

from pipeline.testing.simulation.explore import explore
from pipeline.testing.simulation.faults import Faults
from pipeline.testing.simulation.simulation import SETTLE, Input, Outcome, Simulation, SimulationError

__all__ = ["SETTLE", "Faults", "Input", "Outcome", "Simulation", "SimulationError", "explore"]
