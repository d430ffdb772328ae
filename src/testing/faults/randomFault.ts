/** Faults of backends, GPU readings and clocks, drawn at random. */
import * as SimulatedFleet from "../../simulated/SimulatedFleet.ts"
import type { SeededRandom } from "./seededRandom.ts"
import type { VirtualTime } from "./virtualTime.ts"
import { gibibyte, type Gpus, ids, url } from "./world.ts"

const { Fault } = SimulatedFleet

const inference = ["/api/chat", "/api/generate", "/api/embed", "/v1/*", "/api/*", "*"]
const control = ["/api/ps", "/api/version", "/api/tags", "/api/show"]

const backendFault = (random: SeededRandom): SimulatedFleet.Fault.Fault => {
  const after = () => random.between(0, 3)
  return random.pick([
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
    Fault.slow(random.pick([50, 2000, 30_000])),
  ])
}

/**
 * Makes the function that draws one fault each time it is called, and applies it. Faults of GPU readings are drawn only
 * where memory is `managed`.
 */
export const randomFault = (
  random: SeededRandom,
  time: VirtualTime,
  fleet: SimulatedFleet.SimulatedFleet["Service"],
  gpus: Gpus,
  managed: boolean,
): () => void => {
  const server = () => fleet.get(url(random.pick(ids)))
  const fault = () => backendFault(random)
  const jump = () => {
    time.offset += random.pick([-60_000, -5000, -50, 50, 5000, 60_000, 600_000])
  }
  return () => {
    const kind = random.between(0, managed ? 13 : 10)
    if (kind <= 3) {
      server().faults.set(fault(), { path: random.pick(inference), times: random.pick([1, 1, 2, 6, 20]) })
    } // For a while every inference call of the backend is answered as busy.
    else if (kind === 4) {
      time.at(random.between(100, 8000), server().faults.set(Fault.busy, { path: random.pick(inference) }))
    } else if (kind === 5) {
      const one = fleet.get(url(random.pick(ids)))
      time.at(random.between(500, 20_000), one.faults.set(fault(), { path: random.pick(inference) }))
    } else if (kind === 6 || kind === 7) {
      const one = server()
      one.down()
      time.at(random.pick([10, 500, 8000, 45_000]), () => one.up())
    } else if (kind === 8) {
      const one = server()
      time.at(random.between(1000, 30_000), one.faults.set(fault(), { path: random.pick(control) }))
    } else if (kind === 9) server().faults.clear()
    else if (kind === 10) jump()
    else if (kind <= 12) {
      gpus.probe = random.pick(["good", "fails", "hangs", "slow", "missing"])
      time.at(random.between(1000, 20_000), () => gpus.probe = "good")
    } else gpus.foreign.set(random.pick(ids), random.pick([0, 0, 3, 8, 20]) * gibibyte)
  }
}
