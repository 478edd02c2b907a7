// Package chaos breaks real Thaw processes on a real Postgres, and shows that nothing is lost.
//
//	go test ./chaos                                   a small version of every scenario
//	go test ./chaos -v -count=1 -timeout 2h -full     all of it (just chaos)
//
// Flags: -full; -seed N repeats the dice of an earlier run (the interleaving of processes is the machine's); -report FILE
// writes the closing lines of all scenarios as a table.
//
// A scenario is a test. It has a database of its own, in which only time can be moved; starts the program itself, as
// processes that it kills, freezes and cuts off; and plays the provider who sends signals. It counts each fault that it did,
// and ends before two checkers: an idempotency record checker, which proves from the tables alone that everybody resumed once, at their step,
// within every cap, and `thaw verify`. Its closing line says what it did, the seed, the rows at stake, what was lost, and how
// long it took; a scenario that lost anything fails.
package chaos
