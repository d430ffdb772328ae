/** Makes the JavaScript of the package smaller: comments are in the declarations, where editors look for them. */
import { globSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { minifySync } from "rolldown/experimental"

/** Names, lines and what bundlers read stay as they are. */
const options = {
  compress: false,
  mangle: false,
  codegen: { removeWhitespace: false, comments: { annotation: true, jsdoc: false, legal: false } },
}

/** Removes the comments of all JavaScript in a folder, and in those inside it. */
export const removeComments = (folder: string): void => {
  for (const file of globSync("**/*.js", { cwd: folder })) {
    const path = join(folder, file)
    const { code, errors } = minifySync(path, readFileSync(path, "utf8"), options)
    if (errors.length > 0) throw new Error(`${path}: ${errors[0]!.message}`)
    writeFileSync(path, code)
  }
}
