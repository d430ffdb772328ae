/** The GPU probes of this machine, in the order in which they are tried. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Layer } from "effect"
import * as AmdSysfsGpuProbe from "../../layers/gpu/AmdSysfsGpuProbe.ts"
import * as FirstThatWorksGpuProbe from "../../layers/gpu/FirstThatWorksGpuProbe.ts"
import * as NvidiaSmiGpuProbe from "../../layers/gpu/NvidiaSmiGpuProbe.ts"
import * as NvmlGpuProbe from "../../layers/gpu/NvmlGpuProbe.ts"
import * as SystemMemoryGpuProbe from "../../layers/gpu/SystemMemoryGpuProbe.ts"
import type { GpuProbe } from "../../services/GpuProbe.ts"

/** `library` is the path of NVML; empty for the one that the system finds. */
export const localProbe = (library: string): Layer.Layer<GpuProbe> =>
  FirstThatWorksGpuProbe.layer([
    NvmlGpuProbe.layer({ libraries: library === "" ? undefined : [library] }),
    NvidiaSmiGpuProbe.layer(),
    AmdSysfsGpuProbe.layer(),
    SystemMemoryGpuProbe.layer(),
  ]).pipe(Layer.provide(NodeServices.layer))
