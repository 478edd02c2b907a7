// Package database opens connections to Postgres with the session settings that Thaw requires,
// independent of the settings of the database, the role and the connection string.
//
// Sessions use READ COMMITTED, because Thaw locks a row and then reads it again. They use a search
// path in which no other role can create functions, UTF-8, and the date and number formats that the
// driver expects. These settings are startup parameters. Some connection poolers refuse or drop
// startup parameters. In session mode [Open] then sets them by a statement after connecting. In
// transaction mode a setting would leak to other clients of the pooler, so [Open] sets nothing and
// checks the defaults; package store sets what it needs per transaction.
//
// A connection is closed when a statement fails because the server is read-only, so that the pool
// finds the new primary after a failover.
//
// Errors never contain a possible part of the password; see [Parse].
package database
