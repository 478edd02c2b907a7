// A sender that Thaw calls: it receives the webhook action.due, calls the provider, and reports what
// came of the call over Thaw's HTTP API. It decides nothing: caps, windows and gaps are Thaw's.
import http from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'

const provider = process.env.PROVIDER_URL ?? 'http://127.0.0.1:8090'
const port = process.env.PORT ?? 3000
const thaw = (process.env.THAW_URL ?? 'http://127.0.0.1:8080') + '/api/v1/sending/actions/'
const webhook = new Webhook(process.env.THAW_WEBHOOK_SECRET)

// Posts to Thaw with a token that may only send (thaw token create --send). An error is final if Thaw
// itself rejects the request. A proxy may answer 403, 404 or 429 too, and a token can be repaired.
async function post(path, body = {}) {
  const response = await fetch(thaw + path, {
    method: 'POST', headers: { Authorization: `Bearer ${process.env.THAW_TOKEN}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body), signal: AbortSignal.timeout(30_000),
  })
  const answer = await response.json()
  const isFinal = /^urn:thaw:problem:(bad_request|not_found|conflict)$/.test(answer.type)
  if (!response.ok) throw Object.assign(new Error(`${response.status} ${answer.detail ?? ''}`), { isFinal })
  return answer
}

// Aborted with the reason when the sender stops: it releases what it has not started, and settles
// what it has. Then the process ends.
const stopping = new AbortController()
function stop(reason) {
  if (stopping.signal.aborted) return
  console.error('the sender stops:', reason)
  stopping.abort(reason)
  server.close()
}
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, stop)

async function send({ reservation, kind, account, prospect_url: prospect }) {
  const requestOf = requests[kind]
  // The start is committed when Thaw answers. If its answer is lost, no call is made: the action is
  // unknown when its lease ends.
  for (;;) {
    if (!requestOf || stopping.signal.aborted) {
      await settle(reservation, { outcome: 'released' })
      return console.log(reservation, kind, account, prospect, 'not sent:', stopping.signal.reason ?? 'this sender cannot do the kind')
    }
    const go = await post(`${reservation}/start`)
    if (!go.code) break
    if (go.code !== 'cooldown' || !go.id) return console.log(reservation, 'not sent:', go.code)
    await sleep(Math.max(new Date(go.opens_at) - Date.now(), 1000), null, { signal: stopping.signal }).catch(() => {})
  }
  const { outcome, id, code, until, rejected } = await call(...requestOf(account, prospect.split('?')[0].split('/').filter(Boolean).pop()))
  if (rejected) {
    process.exitCode = 1
    stop(`the provider rejects our API key: ${rejected}`)
  }
  const { state } = await settle(reservation, { outcome, provider_ref: id, error_code: code, until })
  console.log(reservation, kind, account, prospect, state, code ?? id ?? '')
}

// Thaw may be away. The same report again is harmless. Without a report, the action counts as unknown
// when its lease ends; a later report is accepted.
async function settle(reservation, report) {
  for (let wait = 1000; ; wait = Math.min(2 * wait, 10_000)) {
    try {
      return await post(`${reservation}/settle`, report)
    } catch (error) {
      if (error.isFinal) throw error
      console.error(reservation, 'not reported yet:', error.message)
      await sleep(wait)
    }
  }
}

// The requests of the kinds that this sender can do.
const chat = (account, to, more) => ['POST', 'chats', { account_id: account, attendees_ids: [to], text: 'Hello!', ...more }]
const requests = {
  view: (account, to) => ['GET', `users/${encodeURIComponent(to)}?account_id=${encodeURIComponent(account)}`],
  invite: (account, to) => ['POST', 'users/invite', { account_id: account, provider_id: to }],
  message: (account, to) => chat(account, to),
  inmail: (account, to) => chat(account, to, { inmail: true }),
}

async function call(method, route, body) {
  try {
    const response = await fetch(`${provider}/api/v1/${route}`, {
      method, headers: body && { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    })
    return outcomeOf(response.status, await response.json().catch(() => ({})), response.headers.get('retry-after'))
  } catch (error) {
    // Without a connection, nothing was sent. After anything else, the request may have arrived.
    const refused = error.cause?.code === 'ECONNREFUSED'
    return { outcome: refused ? 'throttled' : 'unknown', code: error.cause?.code ?? error.name }
  }
}

// The code counts more than the status: a limit comes as 422, 429 or 500.
function outcomeOf(status, body, retryAfter) {
  const code = body.type?.replace('errors/', '')
  if (status < 300) return { outcome: 'sent', id: body.invitation_id ?? body.message_id }
  if (['already_invited_recently', 'already_connected'].includes(code)) return { outcome: 'already', code }
  if (['limit_exceeded', 'cannot_resend_yet', 'insufficient_credits'].includes(code)) return { outcome: 'limited', code }
  if (['disconnected_account', 'expired_credentials', 'invalid_credentials', 'checkpoint_error'].includes(code)) return { outcome: 'account_lost', code }
  if (code === 'account_restricted') return { outcome: 'restricted', code }
  // Our API key, which is that of all accounts. No account is lost.
  if (['missing_credentials', 'insufficient_permissions'].includes(code) || (status === 401 && !code)) {
    return { outcome: 'throttled', code, rejected: `${status} ${code ?? ''}` }
  }
  if (status === 401) return { outcome: 'throttled', code } // certainly not delivered
  if (status === 429) return { outcome: 'throttled', code, until: new Date(Date.now() + 1000 * Math.min(retryAfter ?? 60, 86_400)) }
  if (status < 500) return { outcome: 'refused', code }
  return { outcome: 'unknown', code }
}

const server = http.createServer(async (request, response) => {
  let message
  try {
    let body = ''
    for await (const part of request.setEncoding('utf8')) {
      if ((body += part).length > 1 << 20) return response.writeHead(413).end()
    }
    message = webhook.verify(body, request.headers)
  } catch {
    return response.writeHead(401).end('not signed by Thaw\n')
  }
  // The reservation is stored in the database. If this process dies, its lease ends.
  response.writeHead(204).end()
  if (message.type === 'action.due') {
    send(message.data).catch((error) => console.error(message.data.reservation, error.message))
  }
}).listen(port, '127.0.0.1', () => console.log(`receiving on port ${port}`))
