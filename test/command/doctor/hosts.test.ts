/** The devices of this machine, through a fake NVIDIA library. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { hostname } from "node:os"
import process from "node:process"
import { afterAll } from "vitest"
import { examine } from "../../../src/command/doctor/checks/index.ts"
import { hostOf, local } from "../../../src/command/doctor/observe/hosts.ts"
import { backend } from "../../../src/services/Fleet.ts"
import * as FakeNvml from "../../support/fakeNvml.ts"
import { healthy } from "./healthy.ts"

describe("the host of a backend", () => {
  it.each([
    ["http://127.0.0.1:11434", "localhost"],
    ["http://localhost:1", "localhost"],
    ["http://[::1]:11434", "localhost"],
    [`http://${hostname()}:11434`, "localhost"],
    ["http://gpu-1.example:11434", "gpu-1.example"],
    ["http://203.0.113.7", "203.0.113.7"],
  ])("%s is %s", (url, name) => {
    assert.strictEqual(hostOf(backend({ url })), name)
  })
})

const fake = FakeNvml.build()

if (fake === undefined) {
  console.log(`doctor with NVML: skipped: ${FakeNvml.absent}`)
  it.skip(`doctor with NVML: ${FakeNvml.absent}`, () => {})
} else {
  // The helper process of NVML has the environment of this process. The machine's own setting must not select devices.
  delete process.env["CUDA_VISIBLE_DEVICES"]
  afterAll(() => {
    delete process.env["FAKE_NVML_STATE"]
    FakeNvml.remove(fake)
  })

  const found = (state: FakeNvml.State, library = fake.library) =>
    Effect.gen(function* () {
      process.env["FAKE_NVML_STATE"] = FakeNvml.script(fake, state).path
      const here = yield* Effect.provide(local(library), NodeServices.layer)
      const hosts = healthy.hosts.map((host) => host.name === "localhost" ? here : host)
      const [one] = healthy.backends
      return { here, ids: examine({ ...healthy, hosts, backends: [one!] }).map(({ id }) => id) }
    })

  describe("this machine", () => {
    it.live("has a GPU, its driver and CUDA", () =>
      Effect.gen(function* () {
        const { here, ids } = yield* found(
          FakeNvml.cards(1, { driver: "580.95.05", cuda: 13000, "0.capability": "8 9" }),
        )
        assert.strictEqual(here.source, "nvml")
        assert.deepStrictEqual(here.driver, { version: "580.95.05", cuda: "13.0" })
        assert.deepStrictEqual(here.devices?.map(({ capability, total, uuid }) => [uuid, total, capability]), [
          ["GPU-0", 24 * 1024 ** 3, 8.9],
        ])
        assert.deepStrictEqual(ids, [])
      }))

    it.live("has an old driver", () =>
      Effect.gen(function* () {
        const { ids } = yield* found(FakeNvml.cards(1, { driver: "470.82.01", cuda: 11040 }))
        assert.deepStrictEqual(ids, ["driver-old"])
      }))

    it.live("has a driver that waits for a restart", () =>
      Effect.gen(function* () {
        const { here, ids } = yield* found(FakeNvml.cards(1, { "rc.nvmlInitWithFlags": 18 }))
        assert.strictEqual(here.passedOver[0]?.reason, "DriverMismatch")
        assert.deepStrictEqual(ids, ["gpu-unreadable"])
      }))

    it.live("has no GPU where there is no library", () =>
      Effect.gen(function* () {
        const { here, ids } = yield* found({}, `${fake.folder}/none.so.1`)
        assert.isTrue(here.devices?.every(({ kind }) => kind === "system"))
        assert.deepStrictEqual(ids, [])
      }))
  })
}
