// Package simulate runs a fleet for simulated weeks within minutes, and checks what was sent.
//
// Only time and the provider are simulated. The database is a private Postgres whose thaw.now()
// reads a clock that the driver moves. Signals go by HTTP to a real thaw process, prospects are
// claimed, started and settled by real sender processes, and both are killed now and then. The
// provider is package providersim over HTTP, with the clock of the driver.
//
// The driver moves the clock from event to event, and never while something is left to do at the
// current time: it waits until the queue of jobs is empty and no account can act. So a run depends
// only on its seed, although processes of their own do the work. For the same reason the draws of
// the database are replaced by draws from the seed and the prospect. The faults of the provider
// depend on the seed and the content of a request.
//
//	scenario   the people, their accounts and prospects, and what happens to them, from the seed
//	driver     moves the clock, waits for jobs, makes the sender work
//	events     what happens at the provider, in the platform's tables and to processes
//	daily      what a person does once a day: settles unknown actions, withdraws invites
//	sender     a sender process: claims, starts, calls the provider, settles
//	checker    compares the log of the provider with rules of its own, not with the tables
//	safety     when safety mode has to be on, by what Thaw was told
//	firstsend  how long people and reconnected accounts took to a request, by the same rules
//	places     where the prospects must be by the log, and where they are
//	report     tables and charts
//
// The checker knows the limits by its own table and local time by package time, so that an error in
// the SQL rules is not repeated here.
package simulate
