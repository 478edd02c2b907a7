package verify

// RunIn runs all checks in a transaction in which a test has violated an invariant.
var RunIn = runIn
