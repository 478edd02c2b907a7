// Package providersim is a provider on loopback: a real HTTP server with the routes that senders
// use, and faults on request. It is for tests, examples and simulations, and sends nothing to
// anyone.
//
// Every request is written to a log before its answer is sent. The log says what was delivered,
// whatever the answer said or whether there was one. GET /log returns it.
//
// Which requests fail is drawn from the seed, the account, the route, the recipient and the number
// of the attempt, not from the order of requests. So the same requests have the same answers,
// however many run at a time.
//
//	POST /api/v1/users/invite          {account_id, provider_id, message}
//	POST /api/v1/chats                 multipart or JSON: account_id, attendees_ids, text, inmail
//	POST /api/v1/emails                {account_id, to, subject, body}
//	GET  /api/v1/users/{id}            ?account_id=: views a profile
//	GET  /api/v1/users/invite/sent     ?account_id=: the invites that are open
//	DELETE /api/v1/users/invite/sent/{id}  withdraws one; a new one is refused for three weeks
//	GET  /log                          NDJSON, one request per line; ?after=N
//	POST /faults                       {fault, account_id, kind, count}: the next matching requests;
//	                                   slow has seconds: the request is done, and its answer comes late
//	POST /accounts/{id}                {status}: OK, CREDENTIALS or RESTRICTED, with its webhook
package providersim
