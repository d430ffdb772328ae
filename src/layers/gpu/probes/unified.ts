/**
 * GPUs that share the system's memory (NVIDIA GB10, Jetson and the like): their own figures are missing or too good.
 *
 * @since 0.1.0
 */
import { Effect, type FileSystem, Option } from "effect"
import type { GpuReading } from "../../../services/GpuProbe.ts"
import * as Reading from "./reading.ts"
import * as SystemMemory from "./systemMemory.ts"

/**
 * Names of NVIDIA parts without memory of their own. NVML does not say which they are, so this list is data and can be overridden.
 *
 * @category models
 * @since 0.1.0
 */
export const names = /\b(GB10|N1X?|Tegra|Xavier|Orin|Thor|Jetson)\b/

/**
 * The device with the system's memory: all of it where the driver gave no figure, else the driver's, but no more free than the system has available.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withSystemMemory = Effect.fnUntraced(function* (
  device: GpuReading,
  root: string,
): Effect.fn.Return<GpuReading, never, FileSystem.FileSystem> {
  const system = Option.getOrElse(yield* SystemMemory.read(root), () => Reading.noMemory)
  if (Option.isNone(device.total)) return { ...device, kind: "integrated", ...system }
  return { ...device, kind: "integrated", free: Reading.lesser(device.free, system.free) }
})
