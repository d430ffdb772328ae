/**
 * Bundles the command into `build/`: `npm run build`. `npm start` does it, too, when a source is newer.
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
  if (!existsSync(join(folder, "llamero.js"))) return false
  const built = changedAt("build/llamero.js")
  const sources = globSync(["src/**/*.ts", "package-lock.json", "scripts/build.ts"], { cwd: root })
  return sources.every((path) => changedAt(path) < built)
}

/**
 * The viewer of the reference of the admin API is 2 MB of text in a file of Effect. The package does not have it twice:
 * the bundle reads it where Effect is installed.
 */
const viewer = {
  name: "viewer",
  load: (id: string): string | undefined =>
    id.endsWith("/http-api/internal/httpApiSwagger.js")
      ? `import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
const effect = createRequire(import.meta.url).resolve("effect/package.json")
const file = new URL("dist/http-api/internal/httpApiSwagger.js", pathToFileURL(effect))
export const { css, javascript } = await import(file.href)`
      : undefined,
}

/** Writes the bundle into a folder; for the package, as small as it can be. */
export const bundle = async (dir: string, isForPackage: boolean): Promise<void> => {
  const { rolldown } = await import("rolldown")
  const made = await rolldown({
    cwd: root,
    input: {
      llamero: "src/command/main.ts",
      server: "src/command/serve/server.ts",
      // A process of its own, which the NVML probe starts: it looks for this file beside its own.
      helperProcess: "src/layers/gpu/nvml/helperProcess.ts",
    },
    platform: "node",
    // koffi has native code, and yaml is seldom needed. The others are CommonJS, which they stay.
    external: ["koffi", "redis", "undici", "yaml"],
    plugins: isForPackage ? [viewer] : [],
    logLevel: "silent",
  })
  const names = { entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" }
  await made.write({ dir, format: "esm", minify: isForPackage, ...names })
  await made.close()
}

/** Does nothing when the bundle is newer than its sources. */
export const build = async (): Promise<void> => {
  if (isFresh()) return
  // Written beside the old bundle, so that no other process finds half of it.
  const dir = `${folder}-${process.pid}`
  await bundle(dir, false)
  rmSync(folder, { recursive: true, force: true })
  renameSync(dir, folder)
}

if (import.meta.main) {
  const [dir] = process.argv.slice(2)
  await (dir === undefined ? build() : bundle(dir, true))
}
