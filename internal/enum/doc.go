// Package enum has the enumerated types of the database: the statuses of accounts, campaigns and
// enrollments, the reasons of a pause, the kinds and sources of an event, the outcomes of a signal,
// the lanes, the states of a webhook delivery and the kinds of manual actions. It is generated from
// the migrated database and tested against it. A switch over one of these types has no default
// case, so that the linter (exhaustive) reports a value that it forgets.
//
// The package imports no other package of this module, so that every package may use it.
package enum
