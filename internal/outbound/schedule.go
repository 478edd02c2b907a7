package outbound

import "time"

// delays are the waits after each failed attempt, as the specification recommends: ten attempts
// within just over three days.
var delays = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour,
	24 * time.Hour,
}

// MaxAttempts is the number of attempts before a message is given up.
const MaxAttempts = 10

// longestWait is the limit for what a receiver may ask for.
const longestWait = 24 * time.Hour

// Delay returns how long to wait after the given number of failed attempts, which must be at least
// 1 and less than MaxAttempts. chance, in [0, 1), adds up to a tenth as jitter, so that messages
// that failed together are not retried together. If the receiver asked for a longer wait, that
// applies, up to a day.
func Delay(attempts int, retryAfter time.Duration, chance float64) time.Duration {
	wait := delays[attempts-1]
	wait += time.Duration(chance * float64(wait) / 10)
	return max(wait, min(retryAfter, longestWait))
}
