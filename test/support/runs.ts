import process from "node:process"

/**
 * How many histories a property test plays. `npm test` plays a few of them, so that a person need not wait;
 * `npm run test:long` plays all.
 */
export const runs = (few: number, all: number): number => process.env["TEST_LENGTH"] === "long" ? all : few
