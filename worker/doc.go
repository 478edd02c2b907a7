// Package worker does Thaw's jobs: sweep, resume_account, pause_account, heal, prune and deliver.
//
// A Work method is a shell. It calls the rule (package plan, or a SQL function of the schema) in a transaction that also
// completes its job: what was done and that it was done are committed together. A pass is one statement, sent together
// with its BEGIN and COMMIT; the plan of a tick is several. Whatever the queue
// does after that (a second delivery, a rescue, somebody's click on retry) finds a closed idempotency record row and changes nothing.
//
// # Ticks
//
// A tick is a key, not a timer. It is a quarter hour of the database's clock, and three things ask for its sweep, any
// number of times: River's periodic scheduler, which lives in the elected leader; its start; and a watchdog in every
// process, leader or not. The first insert counts. The scheduler alone would not do: it forgets between leaders and skips
// a tick whose insert failed.
//
// # notifications and processes that are gone
//
// No transaction of a job notifies. Workers are notified by package notifier, which is River's listener: after the commits of its own
// process, by other processes, and by a look at the queues every 50 ms. It also finds the jobs of processes that are gone.
//
// # Long work
//
// A pause or a heal of many rows is a row of short transactions in one job, for as long as [workSlice], after which the job
// goes back to the queue. No account is locked for longer than one batch takes.
package worker
