// Package worker runs Thaw's jobs: sweep, resume_account, pause_account, heal, watch, prune and
// deliver.
//
// A Work method is thin. It calls the rule (package plan, or a SQL function of the schema) in a
// transaction that also completes the job, so the work and the job's completion commit together. A
// resume pass is one statement, sent together with its BEGIN and COMMIT; a tick's plan takes
// several. If the queue runs the job again (a second delivery, a rescue, a manual retry), the
// idempotency record is already closed and nothing changes.
//
// # Ticks
//
// A tick is a key, not a timer: a quarter hour of the database's clock. Three sources insert its
// sweep, each any number of times: River's periodic scheduler in the elected leader, the start of a
// leader, and a watchdog in every process. Only the first insert has an effect. The scheduler alone
// is not enough: it keeps no state across leader changes and skips a tick whose insert failed.
//
// # Notifications and lost processes
//
// No job transaction calls NOTIFY. Package notifier, which is also River's listener, tells workers
// about new jobs: directly after a commit of its own process, by notifications from other
// processes, and by polling the queues every 50 ms. It also requeues the jobs of lost processes.
//
// # Long jobs
//
// A pause or a heal of many rows runs as a sequence of short transactions in one job. After
// [workSlice] the job is put back in the queue. No account is locked for longer than one batch.
package worker
