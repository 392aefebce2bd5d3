"""A PBX to test against: it logs in (or lets the daemon log in), hands out its users and takes presences.

Written from pbx-link.md alone and sharing no code with the link it tests. It is strict: whatever a real
PBX would reject or a careful client would not do lands in `SimulatedPbx.client_bugs`.
"""

from presenced.sim.pbx.faults import AWKWARD_INFO, LossPoint, PbxFaults
from presenced.sim.pbx.simulated import SimulatedPbx
from presenced.sim.pbx.state import PresenceWritten
from presenced.sim.pbx.users import SimulatedUser

__all__ = ["AWKWARD_INFO", "LossPoint", "PbxFaults", "PresenceWritten", "SimulatedPbx", "SimulatedUser"]
