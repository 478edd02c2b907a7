// Package chaos injects faults into real Thaw processes on a real Postgres and checks that nothing
// is lost.
//
//	go test ./chaos                                   a small version of a few scenarios
//	THAW_TEST_FULL=1 go test ./chaos                  a small version of every scenario, as in CI
//	go test ./chaos -v -count=1 -timeout 2h -full     everything at full size (just chaos)
//
// Flags: -full; -seed N repeats the random choices of an earlier run, but not the interleaving of
// processes; -report FILE writes the summary lines of all scenarios as a table.
//
// A scenario is a test with its own database, in which only time is fake. It starts the program as
// processes that it kills, freezes and disconnects, and sends signals as the provider. It counts
// the injected faults and ends with two checks: an invariant checker, which proves from the tables
// alone that every prospect was resumed once, at its step and within every cap, and `thaw verify`.
// Its summary line reports the faults, the seed, the number of rows, what was lost, and the
// duration. A scenario that lost anything fails.
package chaos
