/** Whether a changelog has the form of Keep a Changelog 1.1.0. */

const kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]

const isBelow = (a: string, b: string): boolean => {
  const [one, other] = [a, b].map((version) => version.split(/[.-]/).map(Number))
  const at = one!.findIndex((part, index) => part !== other![index])
  return at >= 0 && one![at]! < other![at]!
}

const sectionFlaws = (version: string, text: string): ReadonlyArray<string> => {
  const sections = text.split(/^### /m).slice(1).map((section) => section.split("\n"))
  const names = sections.map(([name = ""]) => name)
  return [
    ...names.filter((name) => !kinds.includes(name)).map((name) => `not a kind of change: ${name}`),
    ...names.filter((name, index) => names.indexOf(name) < index).map((name) => `${version} has ${name} twice`),
    ...sections.filter(([, ...lines]) => !lines.some((line) => line.startsWith("- ")))
      .map(([name]) => `${version} has an empty section: ${name}`),
  ]
}

/** What is wrong with a changelog of a package that has this version now. */
export const flaws = (text: string, current: string): ReadonlyArray<string> => {
  const found: Array<string> = text.startsWith("# Changelog\n") ? [] : ["does not begin with # Changelog"]
  const versions: Array<string> = []
  for (const section of text.split(/^## /m).slice(1)) {
    const heading = section.slice(0, section.indexOf("\n"))
    const [, version = "", date] = /^\[(Unreleased|\d+\.\d+\.\d+(?:-[\w.]+)?)\](?: - (\S+))?$/.exec(heading) ?? []
    if (version === "" || (version !== "Unreleased") !== (date !== undefined)) {
      found.push(`not a version with a date: ${heading}`)
      continue
    }
    if (date !== undefined && !(/^\d{4}-\d{2}-\d{2}$/.test(date) && new Date(date).toString() !== "Invalid Date")) {
      found.push(`no date: ${date}`)
    }
    if (!new RegExp(`^\\[${version}\\]: https://\\S+$`, "m").test(text)) found.push(`no link for ${version}`)
    const last = versions.at(-1)
    if (version === "Unreleased" && last !== undefined) found.push("Unreleased is not the first")
    if (last !== undefined && last !== "Unreleased" && !isBelow(version, last)) {
      found.push(`${version} stands after ${last}`)
    }
    versions.push(version)
    found.push(...sectionFlaws(version, section))
  }
  if (!versions.includes(current) && versions[0] !== "Unreleased") found.push(`nothing about ${current}`)
  return found
}
