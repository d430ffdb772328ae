/** Names of environment variables: typing errors are told, and names of other programs are let be. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Settings from "../../src/layers/Settings.ts"

const complaint = (env: Readonly<Record<string, string>>) =>
  Effect.map(Effect.flip(Settings.fromEnv({ PATH: "/bin", HOME: "/", ...env })), Settings.explain)

/** A name that is wrong, and the setting that it was meant for. */
const misspelt: Readonly<Record<string, string>> = {
  LLAMERO_BACKEND: "LLAMERO_BACKENDS",
  LLAMERO_BACKNEDS: "LLAMERO_BACKENDS",
  LLAMERO_BACKEND_URLS: "LLAMERO_BACKENDS",
  LLAMERO_FLEETFILE: "LLAMERO_FLEET_FILE",
  LLAMERO_FLEET: "LLAMERO_FLEET_FILE",
  LLAMERO_KEYS: "LLAMERO_KEYS_FILE",
  LLAMERO_KEY_FILE: "LLAMERO_KEYS_FILE",
  LLAMERO_PLUGIN: "LLAMERO_PLUGINS",
  LLAMERO_LOGLEVEL: "LLAMERO_LOG_LEVEL",
  LLAMERO_OLLAMA_HOST: "OLLAMA_HOST",
  LLAMERO__PORT: "LLAMERO_PORT",
  // In another case, with another mark between the words, with a blank.
  llamero_backends: "LLAMERO_BACKENDS",
  Llamero_Port: "LLAMERO_PORT",
  "LLAMERO-PORT": "LLAMERO_PORT",
  "LLAMERO_PORT ": "LLAMERO_PORT",
  // With another beginning.
  LAMERO_BACKENDS: "LLAMERO_BACKENDS",
  OLLAMERO_BACKENDS: "LLAMERO_BACKENDS",
  LLMAERO_KEYS_FILE: "LLAMERO_KEYS_FILE",
}

describe("Settings.fromEnv", () => {
  for (const [name, meant] of Object.entries(misspelt)) {
    it.effect(`${JSON.stringify(name)} is no setting; ${meant} is`, () =>
      Effect.gen(function* () {
        // The value may be a secret.
        assert.strictEqual(
          yield* complaint({ [name]: "sk-secret" }),
          `${name}: no setting has this name; did you mean ${meant}?`,
        )
      }))
  }

  it.effect("guesses nothing for a name that is like no setting", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* complaint({ LLAMERO_XYZZY: "1" }),
        "LLAMERO_XYZZY: no setting has this name; if another program reads it, add it to LLAMERO_IGNORE",
      )
    }))

  it.effect("tells wrong names and wrong values at once", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* complaint({ LLAMERO_BACKEND: "a", LLAMERO_PORT: "x", LLAMERO_QUEUE_SIZE: "1", LLAMERO_HEDGE: "maybe" }),
        [
          "4 settings are wrong:",
          "LLAMERO_BACKEND: no setting has this name; did you mean LLAMERO_BACKENDS?",
          "LLAMERO_QUEUE_SIZE: no setting has this name; did you mean LLAMERO_QUEUE_BYTES?",
          `LLAMERO_PORT="x": wants a port from 0 to 65535 (0: any free one)`,
          `LLAMERO_HEDGE="maybe": wants on or off`,
        ].join("\n  "),
      )
    }))

  it.effect("lets names of other programs be", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* Settings.fromEnv({
          OLLAMA_NUM_PARALLEL: "4",
          LLAMA_PORT: "1",
          CLAMOR_PORT: "1",
          PORTS: "1",
          LLAMERO: "x",
          // The GPU agent's, in one file with the router's.
          LLAMERO_AGENT_HOST: "0.0.0.0",
          LLAMERO_AGENT_PORT: "11436",
          LLAMERO_AGENT_TOKEN: "t",
          LLAMERO_IGNORE: "LLAMERO_URL, LLAMERO_DEPLOY_*",
          LLAMERO_URL: "http://127.0.0.1",
          LLAMERO_DEPLOY_REGION: "eu",
        }),
        { ...Settings.defaults, agentToken: "t", ignored: ["LLAMERO_URL", "LLAMERO_DEPLOY_*"] },
      )
      assert.match(yield* complaint({ LLAMERO_IGNORE: "LLAMERO_URL", LLAMERO_URLS: "x" }), /^LLAMERO_URLS: /)
    }))

  it.effect("is not confused by what Kubernetes sets for a service called llamero", () =>
    Effect.gen(function* () {
      const links = {
        LLAMERO_SERVICE_HOST: "10.0.0.1",
        LLAMERO_SERVICE_PORT: "11435",
        LLAMERO_SERVICE_PORT_HTTP: "11435",
        LLAMERO_PORT: "tcp://10.0.0.1:11435",
        LLAMERO_PORT_11435_TCP: "tcp://10.0.0.1:11435",
        LLAMERO_PORT_11435_TCP_PROTO: "tcp",
        LLAMERO_PORT_11435_TCP_PORT: "11435",
        LLAMERO_PORT_11435_TCP_ADDR: "10.0.0.1",
        LLAMERO_REDIS_SERVICE_HOST: "10.0.0.2",
        LLAMERO_REDIS_PORT: "tcp://10.0.0.2:6379",
      }
      assert.deepStrictEqual(yield* Settings.fromEnv(links), Settings.defaults)
      assert.strictEqual((yield* Settings.fromEnv({ ...links, LLAMERO_PORT: "8080" })).port, 8080)
      // Without the service it is a mistake.
      assert.match(yield* complaint({ LLAMERO_PORT: "tcp://10.0.0.1:11435" }), /^LLAMERO_PORT="tcp:/)
    }))

  it("names what says which backends there are, even if it is empty", () => {
    assert.deepStrictEqual(Settings.backendNames({ LLAMERO_PORT: "1", LLAMERO_PLUGINS: "./a.ts" }), [])
    assert.deepStrictEqual(
      Settings.backendNames({ LLAMERO_BACKENDS: "", OLLAMA_HOST: "a", LLAMERO_FLEET_INTERVAL: "1s" }),
      ["LLAMERO_BACKENDS", "LLAMERO_FLEET_INTERVAL", "OLLAMA_HOST"],
    )
  })
})
