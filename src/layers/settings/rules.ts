/**
 * What must hold between settings that each can be read.
 *
 * @since 0.1.0
 */
import { withoutPasswords } from "../../services/BackendAccess.ts"
import type { ScorerName } from "./structured.ts"
import { admin } from "./traffic.ts"

/** The settings that depend on each other. @internal */
export interface Dependent {
  readonly adminToken: string
  readonly agents: ReadonlyArray<string>
  readonly agentToken: string
  readonly backends: ReadonlyArray<string>
  readonly breakerOpenMaxMillis: number
  readonly breakerOpenMillis: number
  readonly decisions: number
  readonly fleetFile: string
  readonly host: string
  readonly keysFile: string
  readonly localKey: string
  readonly localPort: number
  readonly metricsEndpoint: string
  readonly metricsExporter: string
  readonly metricsProtocol: string
  readonly ollamaHost: string
  readonly port: number
  readonly scorers: ReadonlyArray<readonly [ScorerName, number]>
  readonly otelDisabled: boolean
  readonly otlpEndpoint: string
  readonly tenantHeader: string
  readonly tenantWeights: Readonly<Record<string, number>>
  readonly tracesEndpoint: string
  readonly tracesExporter: string
  readonly tracesProtocol: string
  readonly vram: boolean
  readonly zone: string
}

/** A rule: the settings it looks at, and what is wrong with them. It is not asked when one of them cannot be read. */
interface Rule {
  readonly of: ReadonlyArray<keyof Dependent>
  readonly flaw: (settings: Dependent) => string | undefined
}

/** Whether a URL is that of the router itself, or of its listener for clients on this machine. @internal */
export const isRouter =
  ({ host, localPort, port }: Pick<Dependent, "host" | "localPort" | "port">) => (url: string): boolean => {
    const target = new URL(url)
    const own = Number(target.port || (target.protocol === "https:" ? 443 : 80))
    const isHere = ["127.0.0.1", "localhost", "[::1]"].includes(target.hostname)
    return (own === port && (isHere || target.hostname === host)) || (own === localPort && isHere)
  }

/** One spelling for all URLs of one server, whoever its user is. */
const server = (url: string): string =>
  url.replace(/^(https?:\/\/)[^/]*@/, "$1").replace(/^(https?:\/\/)localhost(?=[:/]|$)/, "$1127.0.0.1")

const scoresZone = ({ scorers }: Dependent): boolean => scorers.some(([name]) => name === "zone")

const rules: ReadonlyArray<Rule> = [
  {
    of: ["backends", "host", "localPort", "port"],
    flaw: (settings) => {
      const loop = settings.backends.find(isRouter(settings))
      return loop &&
        `LLAMERO_BACKENDS=${JSON.stringify(withoutPasswords(loop))}: wants backends other than this router itself`
    },
  },
  {
    of: ["backends"],
    flaw: ({ backends }) => {
      const twice = backends.find((url, i) => backends.slice(0, i).some((other) => server(other) === server(url)))
      return twice && `LLAMERO_BACKENDS: wants each backend once, and ${server(twice)} is there twice`
    },
  },
  {
    of: ["backends", "fleetFile"],
    flaw: ({ backends, fleetFile }) =>
      backends.length > 0 && fleetFile !== ""
        ? "LLAMERO_BACKENDS and LLAMERO_FLEET_FILE both name the backends: set one of them"
        : undefined,
  },
  {
    of: ["scorers", "zone"],
    flaw: (settings) =>
      scoresZone(settings) && settings.zone === ""
        ? `LLAMERO_ZONE="": wants the router's zone, since LLAMERO_SCORERS names zone`
        : undefined,
  },
  {
    of: ["scorers", "zone"],
    flaw: (settings) =>
      !scoresZone(settings) && settings.zone !== ""
        ? `LLAMERO_ZONE=${
          JSON.stringify(settings.zone)
        }: wants zone among LLAMERO_SCORERS, such as resident=3,least-busy=1,zone=2`
        : undefined,
  },
  {
    of: ["adminToken", "decisions"],
    flaw: ({ adminToken, decisions }) =>
      // The default is no wish.
      decisions > 0 && decisions !== admin.decisions.fallback && adminToken === ""
        ? `LLAMERO_DECISIONS="${decisions}": wants LLAMERO_ADMIN_TOKEN, which /admin/decisions asks for`
        : undefined,
  },
  {
    of: ["agents", "agentToken", "vram"],
    flaw: ({ agentToken, agents, vram }) =>
      vram && agents.length > 0 && agentToken === ""
        ? "LLAMERO_AGENTS: wants LLAMERO_AGENT_TOKEN, which the agents ask for"
        : undefined,
  },
  {
    of: ["breakerOpenMaxMillis", "breakerOpenMillis"],
    flaw: ({ breakerOpenMaxMillis, breakerOpenMillis }) =>
      breakerOpenMillis > breakerOpenMaxMillis
        ? `LLAMERO_BREAKER_OPEN="${breakerOpenMillis}ms": wants at most LLAMERO_BREAKER_OPEN_MAX, which is ` +
          `${breakerOpenMaxMillis}ms`
        : undefined,
  },
  {
    of: ["keysFile", "tenantHeader", "tenantWeights"],
    flaw: ({ keysFile, tenantHeader, tenantWeights }) =>
      Object.keys(tenantWeights).length > 0 && keysFile === "" && tenantHeader === ""
        ? "LLAMERO_TENANT_WEIGHTS: wants LLAMERO_TENANT_HEADER or LLAMERO_KEYS_FILE, which tell tenants apart"
        : undefined,
  },
  // The listener without keys must have a key of its own: it is for a router that asks for keys.
  {
    of: ["keysFile", "localKey", "localPort"],
    flaw: ({ keysFile, localKey, localPort }) => {
      if (localPort === 0 && localKey === "") return undefined
      if (keysFile === "") return `LLAMERO_KEYS_FILE="": wants a file of keys, since LLAMERO_LOCAL_PORT is set`
      if (localPort === 0) return `LLAMERO_LOCAL_PORT="": wants a port, since LLAMERO_LOCAL_KEY is set`
      return localKey === ""
        ? `LLAMERO_LOCAL_KEY="": wants the id of a key, since LLAMERO_LOCAL_PORT is set`
        : undefined
    },
  },
  // Variables of OpenTelemetry are often set for a whole machine, so the protocol matters only where traces are sent.
  {
    of: ["otelDisabled", "otlpEndpoint", "tracesEndpoint", "tracesExporter", "tracesProtocol"],
    flaw: ({ otelDisabled, otlpEndpoint, tracesEndpoint, tracesExporter, tracesProtocol }) =>
      tracesProtocol === "grpc" && !otelDisabled && tracesExporter !== "none" && otlpEndpoint + tracesEndpoint !== ""
        ? `OTEL_EXPORTER_OTLP_PROTOCOL="grpc": wants http/protobuf or http/json, which collectors take on port 4318`
        : undefined,
  },
  {
    of: ["metricsEndpoint", "metricsExporter", "metricsProtocol", "otelDisabled", "otlpEndpoint"],
    flaw: ({ metricsEndpoint, metricsExporter, metricsProtocol, otelDisabled, otlpEndpoint }) =>
      metricsProtocol === "grpc" && metricsExporter === "otlp" && !otelDisabled && otlpEndpoint + metricsEndpoint !== ""
        ? `OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="grpc": wants http/protobuf or http/json, which collectors take on port 4318`
        : undefined,
  },
  {
    of: ["localPort", "port"],
    flaw: ({ localPort, port }) =>
      localPort !== 0 && localPort === port
        ? `LLAMERO_LOCAL_PORT="${localPort}": wants another port than LLAMERO_PORT`
        : undefined,
  },
]

/** Everything that is wrong with settings that each can be read. `unread` are those that cannot. @internal */
export const flaws = (settings: Dependent, unread: ReadonlySet<string>): ReadonlyArray<string> =>
  rules.filter(({ of }) => !of.some((key) => unread.has(key))).flatMap(({ flaw }) => flaw(settings) ?? [])
