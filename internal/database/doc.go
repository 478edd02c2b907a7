// Package database opens connections to Postgres in the one way in which Thaw needs them, whatever the database, the role and
// the connection string say.
//
// A session of Thaw runs READ COMMITTED, because the rules lock a row and then look again; with a search path that no other
// role can put functions into; with UTF-8 as its encoding; and with the formats of dates and numbers that the driver reads.
// These are startup parameters. A connection pooler refuses or drops them: in its session mode they are set by a statement
// right after a connection is made. In its transaction mode a session is not ours, and a setting would stay behind for the
// pooler's other clients: there nothing is set, the transaction says what must hold (package store), and [Open] checks the
// defaults.
//
// A connection that is told that the server is read-only is closed, so that after a failover the pool finds the new primary.
//
// Errors never show what may be a part of the password: see [Parse].
package database
