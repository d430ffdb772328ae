/**
 * The limit of open files.
 *
 * @since 0.1.0
 */
import { Effect, FileSystem } from "effect"

/** The soft limit in the text of `/proc/self/limits`. */
export const softLimit = (text: string): number | undefined => {
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(text) ?? []
  return soft === undefined ? undefined : soft === "unlimited" ? Infinity : Number(soft)
}

/** The limit of this process. A program that it starts has the same, and so has a router in the same place. */
export const openFiles = (root: string): Effect.Effect<number | undefined, never, FileSystem.FileSystem> =>
  FileSystem.FileSystem.use((files) => files.readFileString(`${root}/proc/self/limits`)).pipe(
    Effect.map(softLimit),
    Effect.orElseSucceed(() => undefined),
  )
