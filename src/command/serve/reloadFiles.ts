/** What files hold, in a form that can be compared. Their dates are not looked at: a ConfigMap changes by a link. */
import { Effect, FileSystem } from "effect"
import { hash } from "node:crypto"

/** What all files hold. A file that is not there is different from an empty one. */
export const contents = (paths: ReadonlyArray<string>): Effect.Effect<string, never, FileSystem.FileSystem> =>
  Effect.map(
    Effect.forEach(paths, (path) =>
      Effect.map(
        Effect.option(FileSystem.FileSystem.use((files) => files.readFileString(path))),
        (text) => `${path} ${text._tag === "None" ? "-" : hash("sha256", text.value)}`,
      )),
    (all) => all.join("\n"),
  )
