package outbound

import "time"

// delays are the waits after an attempt that failed, as the specification recommends: ten attempts within little more than three
// days.
var delays = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour,
	24 * time.Hour,
}

// MaxAttempts is how often a message is tried before it is given up.
const MaxAttempts = 10

// longestWait bounds what a receiver may ask for.
const longestWait = 24 * time.Hour

// Delay returns how long to wait after the given number of attempts, all of which failed, from 1 to MaxAttempts - 1. chance, in
// [0, 1), spreads it by up to a tenth: what failed together does not come back together. Where the receiver
// asked for longer, that counts, up to a day.
func Delay(attempts int, retryAfter time.Duration, chance float64) time.Duration {
	wait := delays[attempts-1]
	wait += time.Duration(chance * float64(wait) / 10)
	return max(wait, min(retryAfter, longestWait))
}
