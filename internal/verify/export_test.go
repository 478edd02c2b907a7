package verify

// RunIn runs all checks in a transaction that a test has broken something in, and rolls back.
var RunIn = runIn
