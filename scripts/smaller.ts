/** Makes the package smaller: nobody reads its JavaScript, and editors read only the declarations of public modules. */
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { minifySync } from "rolldown/experimental"

/** Names of functions and classes stay, for stack traces, and what bundlers read stays, too. */
const options = {
  compress: true,
  mangle: { toplevel: false, keepNames: true },
  codegen: { removeWhitespace: true, comments: { annotation: true, jsdoc: false, legal: false } },
}

/** Removes comments, space and the names of local variables from all JavaScript in a folder. */
export const minify = (folder: string): void => {
  for (const file of globSync("**/*.js", { cwd: folder })) {
    const path = join(folder, file)
    const { code, errors } = minifySync(path, readFileSync(path, "utf8"), options)
    if (errors.length > 0) throw new Error(`${path}: ${errors[0]!.message}`)
    writeFileSync(path, code)
  }
}

/** The declarations that one imports. */
const imported = (file: string): ReadonlyArray<string> =>
  Array.from(
    readFileSync(file, "utf8").matchAll(/(?:from |import\()"(\.[^"]+)"/g),
    ([, path]) => join(dirname(file), path!.replace(/\.(js|ts)$/, ".d.ts")),
  ).filter((path) => existsSync(path))

/** Removes the declarations in a folder that public ones neither are nor import. */
export const removeDeclarations = (folder: string, publicOnes: ReadonlyArray<string>): void => {
  const kept = new Set<string>()
  const keep = (file: string): void => {
    if (kept.has(file)) return
    kept.add(file)
    imported(file).forEach(keep)
  }
  publicOnes.forEach((file) => keep(join(folder, file)))
  for (const file of globSync("**/*.d.ts", { cwd: folder })) {
    if (!kept.has(join(folder, file))) rmSync(join(folder, file))
  }
}
