// Package outbound sends messages to the platform, in the format of Standard Webhooks
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
//
// It has no state. The database knows which messages exist and how often each was tried. Package
// worker calls [Sender.Send] to try a message, and [Delay] to learn when to try it again.
//
// The URL is user input, and this process may run inside a private network. A sender therefore
// connects only to public addresses, unless private ones are allowed. It checks the address when it
// connects, after all names are resolved, so no host name, number format or DNS response can bypass
// the check. For the same reason, it does not follow redirects.
//
// If HTTPS_PROXY or HTTP_PROXY names a proxy, the sender connects only to the proxy. It resolves
// the receiver's name before each attempt and refuses a private address. If the proxy resolves the
// name to another address, only its own rules apply.
package outbound
