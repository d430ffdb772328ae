/** The arguments that a script of package.json gives to a program, up to the end of its first command. */
export const argumentsOf = (script: string, program: string): ReadonlyArray<string> | undefined => {
  const words = script.split(/\s+/)
  const at = words.findIndex((word) => word.split("/").at(-1) === program)
  if (at < 0) return undefined
  const after = words.slice(at + 1)
  const end = after.findIndex((word) => ["||", "&&", "|", ";"].includes(word))
  return end < 0 ? after : after.slice(0, end)
}
