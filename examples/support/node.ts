/** How a Node server reaches backends, files and this machine's devices. The layers run on Deno too, and fast. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type { Settings } from "../../src/layers/Settings.ts"
import * as NodeTransport from "../../src/layers/transport/NodeTransport.ts"
import { localProbe } from "./gpus.ts"
import type { Reach } from "./place.ts"

export const reach = ({ connectMillis, nvmlLibrary }: Settings): Reach => ({
  transport: NodeTransport.layer({ connectMillis }),
  client: NodeHttpClient.layerUndici,
  files: NodeFileSystem.layer,
  gpus: localProbe(nvmlLibrary),
})
