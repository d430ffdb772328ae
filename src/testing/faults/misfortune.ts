/** What goes wrong: one draw each time it is called. */
import * as SimulatedFleet from "../../simulated/SimulatedFleet.ts"
import type { Dice } from "./dice.ts"
import type { VirtualTime } from "./virtualTime.ts"
import { gibibyte, type Gpus, ids, url } from "./world.ts"

const { Fault } = SimulatedFleet

const inference = ["/api/chat", "/api/generate", "/api/embed", "/v1/*", "/api/*", "*"]
const control = ["/api/ps", "/api/version", "/api/tags", "/api/show"]

export const misfortune = (
  dice: Dice,
  time: VirtualTime,
  fleet: SimulatedFleet.SimulatedFleet["Service"],
  gpus: Gpus,
  managed: boolean,
): () => void => {
  const after = () => dice.between(0, 3)
  const fault = () =>
    dice.pick([
      Fault.refuse,
      Fault.reset(),
      Fault.reset(after()),
      Fault.hang,
      Fault.stall(after()),
      Fault.crash(after()),
      Fault.truncate(after()),
      Fault.internal,
      Fault.busy,
      Fault.tooMany,
      Fault.garbage,
      Fault.answer(),
      Fault.answer({ status: 502, body: "bad gateway" }),
      Fault.slow(dice.pick([50, 2000, 30_000])),
    ])
  const server = () => fleet.get(url(dice.pick(ids)))
  const jump = () => {
    time.offset += dice.pick([-60_000, -5000, -50, 50, 5000, 60_000, 600_000])
  }
  return () => {
    const kind = dice.between(0, managed ? 13 : 10)
    if (kind <= 3) server().faults.set(fault(), { path: dice.pick(inference), times: dice.pick([1, 1, 2, 6, 20]) })
    // A storm: for a while everything there is busy.
    else if (kind === 4) {
      time.at(dice.between(100, 8000), server().faults.set(Fault.busy, { path: dice.pick(inference) }))
    } else if (kind === 5) {
      const one = fleet.get(url(dice.pick(ids)))
      time.at(dice.between(500, 20_000), one.faults.set(fault(), { path: dice.pick(inference) }))
    } else if (kind === 6 || kind === 7) {
      const one = server()
      one.down()
      time.at(dice.pick([10, 500, 8000, 45_000]), () => one.up())
    } else if (kind === 8) {
      const one = server()
      time.at(dice.between(1000, 30_000), one.faults.set(fault(), { path: dice.pick(control) }))
    } else if (kind === 9) server().faults.clear()
    else if (kind === 10) jump()
    else if (kind <= 12) {
      gpus.probe = dice.pick(["good", "fails", "hangs", "slow", "missing"])
      time.at(dice.between(1000, 20_000), () => gpus.probe = "good")
    } else gpus.foreign.set(dice.pick(ids), dice.pick([0, 0, 3, 8, 20]) * gibibyte)
  }
}
