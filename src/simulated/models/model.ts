/**
 * `SimulatedFleet.Model`: what a model is, how one is made, and the ones that are ready to use.
 *
 * @since 0.1.0
 */
export * from "./examples.ts"
export * from "./simulatedModel.ts"
