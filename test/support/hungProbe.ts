/** A program that exits in the middle of a call into a library that hangs. */
import { NodeServices } from "@effect/platform-node"
import { Effect, Fiber, Layer, Option } from "effect"
import process from "node:process"
import * as NvmlGpuProbe from "../../src/layers/gpu/NvmlGpuProbe.ts"
import { GpuProbe } from "../../src/services/GpuProbe.ts"

const main = Effect.gen(function* () {
  const reading = yield* Effect.forkChild((yield* GpuProbe).read)
  yield* Effect.sleep("600 millis")
  const pid = yield* (yield* NvmlGpuProbe.NvmlHelper).pid
  console.log(`helper ${Option.getOrElse(pid, () => "missing")}`)
  process.exit(reading.pollUnsafe() === undefined ? 7 : 1)
  yield* Fiber.join(reading)
})

const layer = NvmlGpuProbe.layer({ libraries: [process.env["FAKE_NVML_LIBRARY"] ?? ""] })
Effect.runFork(Effect.provide(main, Layer.provide(layer, NodeServices.layer)))
