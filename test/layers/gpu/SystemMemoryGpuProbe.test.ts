import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, Layer, Option } from "effect"
import { afterAll } from "vitest"
import * as SystemMemoryGpuProbe from "../../../src/layers/gpu/SystemMemoryGpuProbe.ts"
import { GpuProbe } from "../../../src/services/GpuProbe.ts"
import { contract } from "../../../src/testing/contracts/GpuProbe.ts"
import { holds } from "../../support/checks.ts"
import * as Tree from "../../support/tree.ts"

const gib = 1024 ** 3
const kib = (bytes: number): number => bytes / 1024

const meminfo = [
  `MemTotal:       ${kib(64 * gib)} kB`,
  `MemFree:         ${kib(2 * gib)} kB`,
  `MemAvailable:   ${kib(40 * gib)} kB`,
].join("\n")

const mountV2 = (root = "/") => `30 23 0:26 ${root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate`
const mountV1 = (root = "/") => `35 23 0:30 ${root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`

const layerAt = (root: string) => SystemMemoryGpuProbe.layer({ root }).pipe(Layer.provide(NodeServices.layer))

const numbers = Effect.fnUntraced(function* (files: Readonly<Record<string, string | number>>) {
  const root = yield* Tree.scoped(files)
  const { devices } = yield* Effect.provide(Effect.flatMap(GpuProbe, ({ read }) => read), layerAt(root))
  const [{ free, total, used }] = devices as [(typeof devices)[number]]
  return [total, free, used].map((value) =>
    Option.getOrNull(Option.map(value, (size) => Number(ByteSize.toBigInt(size)) / gib))
  )
})

const real = layerAt("")
const none = Tree.make({})
afterAll(() => Tree.remove(none))

holds(
  "SystemMemoryGpuProbe is a GpuProbe",
  contract({ working: real, kind: "system", failing: [layerAt(none), "NotSupported"] }),
)

describe("SystemMemoryGpuProbe", () => {
  it.live("reads MemAvailable, not MemFree", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* numbers({ "proc/meminfo": meminfo }), [64, 40, 24])
    }))

  it.live("reports free as unknown where the kernel does not report MemAvailable", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* numbers({ "proc/meminfo": "MemTotal: 1048576 kB" }), [1, null, null])
    }))

  const nested = {
    "proc/meminfo": meminfo,
    "proc/self/cgroup": "0::/a.slice/b.scope",
    "proc/self/mountinfo": mountV2(),
    "sys/fs/cgroup/a.slice/b.scope/memory.max": "max",
    "sys/fs/cgroup/a.slice/b.scope/memory.current": 5 * gib,
    "sys/fs/cgroup/a.slice/memory.max": 16 * gib,
    "sys/fs/cgroup/a.slice/memory.current": 12 * gib,
    "sys/fs/cgroup/a.slice/memory.stat": `anon 1\nactive_file ${gib}\ninactive_file ${6 * gib}`,
  }

  it.live("version 2: the tightest group counts, and cache that it would give back counts as free", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* numbers(nested), [16, 10, 6])
    }))

  it.live("version 2: a limit without a usage leaves free unknown", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* numbers({ ...nested, "sys/fs/cgroup/a.slice/memory.current": "?" }), [
        16,
        null,
        null,
      ])
    }))

  it.live("version 2: a group that is mounted in place of the top group, as in a container", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* numbers({
          "proc/meminfo": meminfo,
          "proc/self/cgroup": "0::/docker/abc/inner",
          "proc/self/mountinfo": mountV2("/docker/abc"),
          "sys/fs/cgroup/memory.max": 8 * gib,
          "sys/fs/cgroup/memory.current": gib,
          "sys/fs/cgroup/inner/memory.max": 4 * gib,
          "sys/fs/cgroup/inner/memory.current": gib,
        }),
        [4, 3, 1],
      )
    }))

  it.live("version 1: a path of the host means this container's own group", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* numbers({
          "proc/meminfo": meminfo,
          "proc/self/cgroup": "4:memory:/kubepods/pod1/c1\n0::/",
          "proc/self/mountinfo": mountV1("/docker/abc"),
          "sys/fs/cgroup/memory/memory.limit_in_bytes": 6 * gib,
          "sys/fs/cgroup/memory/memory.usage_in_bytes": 5 * gib,
          "sys/fs/cgroup/memory/memory.stat": `total_inactive_file ${2 * gib}\nhierarchical_memory_limit ${6 * gib}`,
        }),
        [6, 3, 3],
      )
    }))

  it.live("version 1: no limit of its own, but a limit of a group above that is not mounted", () =>
    Effect.gen(function* () {
      const files = {
        "proc/meminfo": meminfo,
        "proc/self/cgroup": "4:cpu,memory:/",
        "proc/self/mountinfo": mountV1(),
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": gib,
      }
      assert.deepStrictEqual(yield* numbers(files), [64, 40, 24])
      const stat = { "sys/fs/cgroup/memory/memory.stat": `hierarchical_memory_limit ${2 * gib}` }
      assert.deepStrictEqual(yield* numbers({ ...files, ...stat }), [2, 1, 1])
    }))
})
