package testdb

import (
	"flag"
	"os"
	"strconv"
	"testing"
)

// fullEnv is the environment variable that makes tests run at full size. CI sets it.
const fullEnv = "THAW_TEST_FULL"

// Full reports whether tests run at full size. By default they use fewer rows, rounds and random
// cases, so that they finish sooner. The assertions are the same at both sizes.
func Full() bool { return os.Getenv(fullEnv) != "" }

// Size returns the size of a test: small by default, large at full size.
func Size(small, large int) int {
	if Full() {
		return large
	}
	return small
}

// RequireFull skips a test that runs at full size only. Only long tests whose rules other tests
// cover call it, so that go test ./... ends soon.
func RequireFull(t testing.TB) {
	t.Helper()
	if !Full() {
		t.Skipf("this long test runs with %s=1, as in CI", fullEnv) //nolint:forbidigo // CI runs it.
	}
}

// RandomCases sets the default number of random cases per property in a test package. At full size
// rapid's own default applies; the flag -rapid.checks overrides both. The return value has no
// meaning. A package that imports rapid calls it once, before flags are parsed:
//
//	var _ = testdb.RandomCases(20)
func RandomCases(n int) bool {
	if checks := flag.Lookup("rapid.checks"); checks != nil && !Full() {
		_ = checks.Value.Set(strconv.Itoa(n)) // an integer always parses
	}
	return true
}
