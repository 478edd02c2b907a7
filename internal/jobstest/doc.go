// Package jobstest has the tests of module jobs. They need Thaw's schema and test libraries, which
// module jobs must not require, because every program that imports it would require them too.
package jobstest
