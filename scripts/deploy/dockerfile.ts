/** Reads a Dockerfile: enough of it to execute the steps of ours without Docker. */

export interface Instruction {
  /** In capitals, such as `RUN`. */
  readonly name: string
  /** What follows, on one line. */
  readonly rest: string
}

/** The instructions, without comments and with continued lines joined. */
export const instructionsOf = (text: string): ReadonlyArray<Instruction> =>
  text.split("\n").filter((line) => !/^\s*#/.test(line)).join("\n").replaceAll(/\\\n\s*/g, "").split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [, name = "", rest = ""] = /^(\w+)\s+(.*)$/.exec(line.trim()) ?? []
      return { name: name.toUpperCase(), rest }
    })

/** The instructions of each stage; each begins with its `FROM`. */
export const stages = (text: string): ReadonlyArray<ReadonlyArray<Instruction>> => {
  const found: Array<Array<Instruction>> = []
  for (const instruction of instructionsOf(text)) {
    if (instruction.name === "FROM") found.push([])
    found.at(-1)?.push(instruction)
  }
  return found
}

/** The variables of `ENV`, with `$PATH` replaced. */
export const environmentOf = (
  instructions: ReadonlyArray<Instruction>,
  path: string,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    instructions.filter(({ name }) => name === "ENV").flatMap(({ rest }) =>
      rest.split(/\s+/).map((pair) => {
        const at = pair.indexOf("=")
        return [pair.slice(0, at), pair.slice(at + 1).replace("$PATH", path)]
      })
    ),
  )
