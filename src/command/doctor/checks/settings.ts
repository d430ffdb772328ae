/**
 * The settings and the list of backends can be read.
 *
 * @since 0.1.0
 */
import { type Check, finding } from "../finding.ts"

/** The settings of the router. */
export const settings: Check = ({ settings: { flaws } }) =>
  flaws.map((flaw) =>
    finding("settings-wrong", {
      subject: /^[A-Z][A-Z0-9_]+|^\S+:\d+:\d+(?=:)/.exec(flaw)?.[0] ?? "settings",
      symptom: flaw,
      cause: "The server checks its settings before it starts, and refuses wrong ones.",
      remedy: "Correct the value. docs/settings.md has all settings, with their kinds of values.",
    })
  )

/** The list of backends. */
export const fleet: Check = ({ fleetFlaw }) =>
  fleetFlaw === undefined ? [] : [finding("fleet-unreadable", {
    subject: "fleet",
    symptom: fleetFlaw,
    cause: "The router cannot start without a list of backends.",
    remedy: "Correct the file in LLAMERO_FLEET_FILE, or the list in LLAMERO_BACKENDS.",
  })]
