/** Tables and bars for the terminal. */
import { ByteSize } from "effect"

const width = 30

/** A bar that is filled to a share from 0 to 1; question marks where the share is not known. */
export const bar = (share: number | undefined): string => {
  if (share === undefined || Number.isNaN(share)) return "?".repeat(width)
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width)
  return "█".repeat(filled) + "░".repeat(width - filled)
}

export const gib = (bytes: number | undefined): string =>
  bytes === undefined ? "?" : ByteSize.format(ByteSize.bytes(Math.round(bytes)), { unit: "GiB" })

export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)))
  return rows.map((cells) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
    .join("\n")
}
