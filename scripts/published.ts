/**
 * What the package on npm has that the repository has not: a package.json of its own, and texts whose links lead from
 * the page of the registry to the repository.
 */
import { statSync } from "node:fs"
import { join, normalize } from "node:path"

const root = join(import.meta.dirname, "..")

/** The package.json of the repository. `repository` is the only place that says where the sources are. */
export interface Manifest {
  readonly version: string
  readonly repository: { readonly url: string }
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

/** The address of the repository for browsers. */
export const webAddress = ({ repository }: Manifest): string => repository.url.replace(/^git\+|\.git$/g, "")

/** The files of the package that are built from a source file. */
const built = (source: string) => {
  const path = source.replace("./src/", "./").slice(0, -3)
  return { types: `${path}.d.ts`, default: `${path}.js` }
}

/** The package.json of the package. `exports` are the public modules with their sources. */
export const published = (manifest: Manifest, exports: Readonly<Record<string, string>>) => {
  const { dependencies, ...own } = manifest
  const { effect, ...needed } = dependencies
  if (effect === undefined) throw new Error("package.json does not depend on effect")
  const { allowScripts: _1, devDependencies: _2, exports: _3, private: _4, scripts: _5, ...kept } = own
  const web = webAddress(manifest)
  return {
    ...kept,
    homepage: `${web}#readme`,
    bugs: `${web}/issues`,
    exports: {
      ...Object.fromEntries(Object.entries(exports).map(([name, source]) => [name, built(source)])),
      "./llamero.schema.json": "./llamero.schema.json",
      "./package.json": "./package.json",
    },
    // The command is a bundle: it starts several times faster than from hundreds of files.
    bin: { llamero: "bundle/llamero.js" },
    // A bundler may leave out all other modules that a program does not use.
    sideEffects: ["./support/oldNode.js", "./command/**", "./bundle/**"],
    dependencies: needed,
    // A router and the program around it must share one copy of Effect.
    peerDependencies: { effect },
    // npm says with the package from which commit and by which run it was built.
    publishConfig: { access: "public", provenance: true },
  }
}

/** Texts that go into the package as they are, but for their links. */
export const texts: ReadonlyArray<string> = ["README.md", "LICENSE", "CHANGELOG.md"]

/** A relative link or image in Markdown; or code, which is left as it is. */
const link = /```[\s\S]*?```|(!?)(\[[^\]]*\])\((?!#|[a-z]+:)([^)\s#]+)(#[^)\s]*)?\)|`[^`\n]*`/g

/** A text with links to the files of this version in the repository in place of relative ones. */
export const withLinks = (text: string, manifest: Manifest): string =>
  text.replaceAll(link, (all, image, words, path, anchor = "") => {
    if (path === undefined) return all
    const kind = image === "!" ? "raw" : statSync(join(root, path)).isDirectory() ? "tree" : "blob"
    return `${image}${words}(${webAddress(manifest)}/${kind}/v${manifest.version}/${normalize(path)}${anchor})`
  })
