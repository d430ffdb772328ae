/** The version of the package. A test compares it with the manifests. */
export const version = "0.1.0"
