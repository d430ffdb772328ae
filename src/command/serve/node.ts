/** How a Node server reaches backends, files and this machine's devices. The layers run on Deno too, and fast. */
import "../../support/oldNode.ts"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Layer } from "effect"
import { readFileSync } from "node:fs"
import * as tls from "node:tls"
import { Agent } from "undici"
import type { Settings } from "../../layers/Settings.ts"
import * as NodeTransport from "../../layers/transport/NodeTransport.ts"
import { localProbe } from "./gpus.ts"
import type { Reach } from "./place.ts"

/** A client that trusts more authorities besides the usual ones. */
const trusting = (ca: string) => {
  const secureContext = tls.createSecureContext({
    ca: [...(tls.getCACertificates?.("default") ?? tls.rootCertificates), ca],
  })
  const agent = new Agent({ connect: { secureContext } })
  return NodeHttpClient.layerUndiciNoDispatcher.pipe(Layer.provide(Layer.succeed(NodeHttpClient.Dispatcher, agent)))
}

/** The settings name no file that cannot be read: see `files.ts`. */
const authorities = ({ caFile }: Settings): string | undefined =>
  caFile === "" ? undefined : readFileSync(caFile, "utf8")

export const reach = (settings: Settings, ca = authorities(settings)): Reach => ({
  transport: NodeTransport.layer({ ca, connectMillis: settings.connectMillis, headBytesMax: settings.headLimit }),
  client: ca === undefined ? NodeHttpClient.layerUndici : trusting(ca),
  files: NodeFileSystem.layer,
  gpus: localProbe(settings.nvmlLibrary),
})
