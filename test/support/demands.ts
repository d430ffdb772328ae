export * from "../../src/testing/demands.ts"
