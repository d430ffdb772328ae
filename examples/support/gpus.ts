/** The GPU probes of this machine, in the order in which they are tried. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Layer } from "effect"
import * as AmdSysfsGpuProbe from "../../src/layers/gpu/AmdSysfsGpuProbe.ts"
import * as FirstThatWorksGpuProbe from "../../src/layers/gpu/FirstThatWorksGpuProbe.ts"
import * as NvidiaSmiGpuProbe from "../../src/layers/gpu/NvidiaSmiGpuProbe.ts"
import * as NvmlGpuProbe from "../../src/layers/gpu/NvmlGpuProbe.ts"
import * as SystemMemoryGpuProbe from "../../src/layers/gpu/SystemMemoryGpuProbe.ts"
import type { GpuProbe } from "../../src/services/GpuProbe.ts"

/** `library` is the path of NVML; empty for the one that the system finds. */
export const localProbe = (library: string): Layer.Layer<GpuProbe> =>
  FirstThatWorksGpuProbe.layer([
    NvmlGpuProbe.layer({ libraries: library === "" ? undefined : [library] }),
    NvidiaSmiGpuProbe.layer(),
    AmdSysfsGpuProbe.layer(),
    SystemMemoryGpuProbe.layer(),
  ]).pipe(Layer.provide(NodeServices.layer))
