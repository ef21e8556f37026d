"""Several workers, one broker, virtual time and one seed: what goes wrong in production, in memory.

```python
outcome = Simulation(topology, inputs, seed=7, processing_guarantee="exactly_once").run()
assert outcome.values("totals") == ...
```

A step of a simulation is one of: a worker takes a step; time passes; a worker is killed, with what
its disk had not synced, or with its disk; it is paused until the group has given it up; it leaves in
order; nobody reaches the broker; records are written. Requests get lost, and answers do. All of it is
drawn from one seed: the same seed is the same run.
"""

from __future__ import annotations

from pipeline.testing.simulation.faults import Faults
from pipeline.testing.simulation.simulation import Input, Outcome, Simulation, SimulationError

__all__ = ["Faults", "Input", "Outcome", "Simulation", "SimulationError"]
