package testdb

import (
	"flag"
	"os"
	"strconv"
)

// fullEnv is the environment variable that makes tests run at full size. CI sets it.
const fullEnv = "THAW_TEST_FULL"

// Full reports whether tests run at full size. By default they take fewer rows, rounds and random cases, so that all of them end
// sooner. What a test asserts is the same at both sizes.
func Full() bool { return os.Getenv(fullEnv) != "" }

// Size returns the size of a test: small by default, large at full size.
func Size(small, large int) int {
	if Full() {
		return large
	}
	return small
}

// RandomCases sets how many random cases each property of a test package tries by default. At full size it is rapid's own
// number, and the flag -rapid.checks wins over both. The value it returns means nothing: a package that imports rapid calls
// it once, before flags are parsed, as
//
//	var _ = testdb.RandomCases(20)
func RandomCases(n int) bool {
	if checks := flag.Lookup("rapid.checks"); checks != nil && !Full() {
		_ = checks.Value.Set(strconv.Itoa(n)) // an integer always parses
	}
	return true
}
