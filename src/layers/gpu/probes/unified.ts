/**
 * GPUs that share the system's memory (NVIDIA GB10, Jetson and similar). Their own figures are missing or too high.
 *
 * @since 0.1.0
 */
import { Effect, type FileSystem, Option } from "effect"
import type { GpuReading } from "../../../services/GpuProbe.ts"
import * as Reading from "./reading.ts"
import * as SystemMemory from "./systemMemory.ts"

/**
 * Names of NVIDIA devices without memory of their own. NVML does not say which they are, so this is a list, which can
 * be replaced.
 *
 * @category models
 * @since 0.1.0
 */
export const names = /\b(GB10|N1X?|Tegra|Xavier|Orin|Thor|Jetson)\b/

/**
 * The device with the system's memory. Where the driver reports no total, all figures are the system's. Otherwise free
 * is the driver's, but not more than the system has available.
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
