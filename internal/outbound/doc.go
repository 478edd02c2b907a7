// Package outbound sends messages to the platform, in the format of Standard Webhooks
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
//
// It has no state: which messages there are, and how often each was tried, the database knows; package worker asks [Sender.Send]
// to try one, and [Delay] when to try it again.
//
// A URL is somebody's input, and this program stands where its network may be open: a sender connects to public addresses only,
// unless private ones are allowed. The address is looked at when the connection is made, after all names are resolved, so that
// no name, no way of writing a number and no answer of a name server leads anywhere else. Redirects are not followed, for the same
// reason. Where HTTPS_PROXY or HTTP_PROXY names a proxy, that is all that a sender connects to; the receiver's name is resolved here
// before each attempt, and refused if it is private. What the proxy resolves it to is the proxy's to guard.
package outbound
