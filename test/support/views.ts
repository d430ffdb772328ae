export * from "../../src/testing/views.ts"
