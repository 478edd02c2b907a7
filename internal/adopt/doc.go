// Package adopt connects Thaw to the tables of a platform that has accounts, campaigns and
// enrollments of its own, in the same database, with its own ids and words.
//
// # The parts
//
//   - [Parse] reads the mapping: one YAML file that says which table has the accounts, which column
//     has their status, and what each word in it means. Decoding is strict. Every problem has its
//     line, the reason, and what to do.
//   - [ReadCatalog] reads what Postgres knows about the platform's tables. [Propose] makes a
//     mapping of it and marks with "?" what it could not guess. [Mapping.Check] compares a mapping
//     with the catalog.
//   - [Mapping.Generate] makes the triggers. [Mapping.Preview] counts what they would do.
//   - [Plan.Install] creates them, [Prepared.Backfill] copies the rows that exist, and
//     [Prepared.Compare] compares both sides.
//   - A [Consumer] writes what Thaw has changed into the platform's tables.
//
// # The triggers
//
// On each mapped table there are three statement-level AFTER triggers with transition tables: for
// INSERT, UPDATE and DELETE. TRUNCATE has no transition table: its trigger records that a check is
// needed. Their functions are in a schema of their own, thaw_adopt, and contain
// no rule of Thaw's: they only find which mapped values a statement changed, translate the
// platform's words, and pass rows on to thaw.take_accounts and its like, in the order of their ids.
//
//   - They never fail the platform's statement. The whole body is in an exception block, and the
//     functions depend on no table or column: the platform can rename, drop and retype everything.
//     What broke is found by the check, and recorded by the triggers themselves.
//   - They write nothing if no mapped value changed, and nothing for the step and the due time of
//     an active enrollment, unless the mapping has its next_kind: then Thaw schedules it. So a sender that moves a prospect to its next step writes no WAL for
//     Thaw. They send only values that changed: a status that did not change may be older than what
//     Thaw has decided since.
//   - They do nothing in a transaction that has set thaw.applying to on: that one writes what Thaw
//     itself has decided.
//   - Old and new rows are joined by FULL JOIN, which Postgres can only do by hashing or merging.
//     The plan of a trigger is cached with the row count of its first statement. A nested loop,
//     chosen for one row, would take hours for a statement with 100,000 rows. For the same reason,
//     values in other tables are read by scalar subqueries, which use the index of their key.
//   - A partitioned table has the triggers, and so has each of its partitions. A statement fires
//     only the triggers of the table that it names.
//   - Their functions run with the rights of the owner of the table, so that no other role of the
//     platform needs a grant.
//
// # Failures
//
// A change that cannot be applied is kept in thaw.adopt_errors, and its row is parked. A trigger
// that is lost, or a mapped column that is renamed, does not fail the platform's statements. The
// check finds it: it compares the triggers with those of the mapping, and all mapped values of all
// rows. Until it succeeds, nothing is resumed through the platform's accounts.
package adopt
