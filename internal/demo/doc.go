// Package demo runs Thaw from start to end with real parts: a Postgres server, the workers and the
// HTTP server of a Thaw process, a fleet of fictitious prospects (fleet.csv), and messages of the
// provider that are posted to the address of the process.
//
// The demo is also a test. Each step of the story checks its result in the database and fails the
// demo if it is wrong. Only two things differ from production: a tick takes seconds instead of 15
// minutes, and nothing is sent to prospects.
package demo
