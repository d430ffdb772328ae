/**
 * Bundles the reference server into `build/`: `npm run build`. `npm start` does it, too, when a source is newer.
 *
 * From a bundle the server starts several times faster and holds much less memory than from its sources: Node need not
 * load hundreds of files, keep the compiler that removes their types, or keep the parts of Effect that nobody calls.
 */
import { existsSync, globSync, renameSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const folder = join(root, "build")

const changedAt = (path: string): number => statSync(join(root, path)).mtimeMs

const isFresh = (): boolean => {
  if (!existsSync(join(folder, "server.js"))) return false
  const built = changedAt("build/server.js")
  const sources = globSync(["src/**/*.ts", "examples/**/*.ts", "package-lock.json", "scripts/build.ts"], { cwd: root })
  return sources.every((path) => changedAt(path) < built)
}

/** Does nothing when the bundle is newer than its sources. */
export const build = async (): Promise<void> => {
  if (isFresh()) return
  const { rolldown } = await import("rolldown")
  const bundle = await rolldown({
    cwd: root,
    input: {
      server: "src/command/serve/server.ts",
      // A process of its own, which the NVML probe starts: it looks for this file beside its own.
      helperProcess: "src/layers/gpu/nvml/helperProcess.ts",
    },
    platform: "node",
    // koffi has native code. The others are CommonJS, which they stay.
    external: ["koffi", "redis", "undici"],
    logLevel: "silent",
  })
  // Written beside the old bundle, so that no other process finds half of it.
  const dir = `${folder}-${process.pid}`
  await bundle.write({ dir, format: "esm", entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" })
  await bundle.close()
  rmSync(folder, { recursive: true, force: true })
  renameSync(dir, folder)
}

if (import.meta.main) await build()
