// Package demo shows the main job done, start to end, with real parts: a Postgres, the workers and HTTP of a Thaw process, a
// fleet of made-up prospects (fleet.csv), and the provider's own messages posted to the process's own address.
//
// It is a test as well. Each step of the story says what it expects, looks into the database, and fails the demo if it sees
// something else. Only two things are not as in production: a tick is seconds long instead of a quarter of an hour, and
// nobody sends anything.
package demo
